/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/), the `traceparent` part: read strictly, carried through unchanged.
 * A malformed header is treated as absent, as the recommendation demands.
 */
export interface TraceContext {
  /** 32 hex digits, not all zero. */
  readonly traceId: string;
  /** 16 hex digits, not all zero. */
  readonly parentId: string;
  readonly sampled: boolean;
}

const VERSION_00 = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
/** A later version: the same four fields first; what follows begins with `-`. */
const LATER = /^(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-[\x21-\x7e]*)?$/;
const CHARS_MAX = 512;

export const parseTraceparent = (header: string | undefined): TraceContext | undefined => {
  if (header === undefined || header.length > CHARS_MAX) return undefined;
  const match = VERSION_00.exec(header) ?? LATER.exec(header);
  if (match === null) return undefined;
  const [, traceId, parentId, flags] = match as unknown as [string, string, string, string];
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
};

export const formatTraceparent = ({ traceId, parentId, sampled }: TraceContext): string =>
  `00-${traceId}-${parentId}-${sampled ? '01' : '00'}`;
