/** A span, and spans as OTLP/HTTP has them in JSON (opentelemetry-proto 1.x: ids in hex, 64-bit numbers as strings, enumerations as numbers). */
import type { JsonObject, JsonValue } from '../../domain/json.ts';

export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string | undefined;
  readonly name: string;
  /** Of a request that somebody else sent, or a part of our own work. */
  readonly kind: 'server' | 'internal';
  /** Milliseconds since 1970, with fractions. */
  readonly from: number;
  readonly to: number;
  readonly attributes: Attributes;
  readonly failed?: boolean;
}

const KINDS = { internal: 1, server: 2 } as const;
const STATUS_ERROR = 2;
const NS_PER_MS = 1_000_000n;

/** As text: no double holds it. */
const nanos = (ms: number): string => (BigInt(Math.floor(ms)) * NS_PER_MS + BigInt(Math.round((ms - Math.floor(ms)) * 1e6))).toString();

const valueOf = (value: string | number | boolean): JsonObject => {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
};
const attributesOf = (attributes: Attributes): JsonValue => Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: valueOf(value) }]));

const spanOf = ({ traceId, spanId, parentId, name, kind, from, to, attributes, failed }: Span): JsonObject => ({
  traceId, spanId, ...(parentId === undefined ? {} : { parentSpanId: parentId }), name, kind: KINDS[kind],
  startTimeUnixNano: nanos(from), endTimeUnixNano: nanos(Math.max(from, to)), attributes: attributesOf(attributes),
  ...(failed === true ? { status: { code: STATUS_ERROR } } : {}),
});

export const otlpRequest = (spans: readonly Span[], resource: Attributes, version: string): JsonObject => ({
  resourceSpans: [{ resource: { attributes: attributesOf(resource) }, scopeSpans: [{ scope: { name: 'curfew', version }, spans: spans.map(spanOf) }] }],
});
