import { GRPC_STATUS, GrpcFault } from './status.ts';

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };

/** No call is given longer than this, whatever it asks for. */
export const CALL_TIMEOUT_MS_MAX = 3_600_000;

/** `grpc-timeout` (1 to 8 digits and a unit) in milliseconds, rounded up; `undefined` when there is none. */
export const grpcTimeoutMs = (header: string | undefined): number | undefined => {
  if (header === undefined) return undefined;
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  if (match === null) throw new GrpcFault(GRPC_STATUS.INVALID_ARGUMENT, 'grpc-timeout is malformed');
  return Math.min(Math.ceil(Number(match[1]) * (UNIT_MS[match[2] as string] as number)), CALL_TIMEOUT_MS_MAX);
};
