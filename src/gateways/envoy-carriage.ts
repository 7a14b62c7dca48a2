/**
 * Request headers by which a client that Envoy counts as internal changes how its request is carried: a response longer than its
 * route allows, past the end of its access, or one request delivered several times, past the uses of its grant. Every allow takes
 * them off.
 */
export const STREAM_TIMEOUT = 'x-envoy-upstream-rq-timeout-ms';

export const CLIENT_CARRIAGE: readonly string[] = [
  STREAM_TIMEOUT, 'x-envoy-upstream-rq-per-try-timeout-ms', 'x-envoy-expected-rq-timeout-ms', 'x-envoy-retry-on', 'x-envoy-retry-grpc-on',
  'x-envoy-max-retries', 'x-envoy-hedge-on-per-try-timeout',
];
