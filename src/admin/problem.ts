/** Refusals of the admin API as RFC 9457 problems. One total table from code to status; nothing secret in any member. */
import type { Fault } from '../domain/lifecycle/change.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Failure } from '../lifecycle/execute.ts';

const table = {
  malformed: [400, 'The request could not be read'],
  invalid: [400, 'The command is not valid'],
  unauthenticated: [401, 'Authentication is required'],
  forbidden: [403, 'This operator may not do that'],
  'origin-refused': [403, 'Requests from this origin are refused'],
  'not-permitted': [403, 'This is not permitted'],
  'not-found': [404, 'Not found'],
  'method-not-allowed': [405, 'The method is not allowed here'],
  'request-timeout': [408, 'The request did not come in time'],
  state: [409, 'The state does not admit this'],
  'bundle-refused': [409, 'The bundle is refused'],
  suspended: [409, 'A suspension stands in the way'],
  limit: [409, 'A limit is reached'],
  'body-too-large': [413, 'The body is too large'],
  'media-type': [415, 'The body must be JSON'],
  'host-refused': [421, 'This host is not served here'],
  'key-reused': [422, 'The idempotency key was used before'],
  'headers-too-large': [431, 'The request line and the headers are too large'],
  internal: [500, 'An unexpected failure'],
  unavailable: [503, 'Not available'],
  'clock-untrusted': [503, 'The clock is not trusted'],
  'store-unavailable': [503, 'The store is not available'],
  'outcome-unknown': [503, 'The outcome is unknown'],
  busy: [503, 'Too busy'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof table;

export interface Problem {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly faults?: readonly Fault[] | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Every failure of the lifecycle has a problem of the same name. */
export const failureProblem = ({ code, detail, faults }: Failure): Problem => ({ code, detail, faults });

export const problemStatus = (code: ProblemCode): number => table[code][0];

export const problemBody = (problem: Problem): JsonObject => ({
  type: `urn:curfew:problem:${problem.code}`,
  title: table[problem.code][1],
  status: problemStatus(problem.code),
  code: problem.code,
  detail: problem.detail,
  ...(problem.faults === undefined ? {} : { errors: problem.faults.map(({ path, message }) => ({ path, message })) }),
});

export const PROBLEM_TYPE = 'application/problem+json';

/** Every answer of this listener: never cached, never framed, never sniffed. */
export const ANSWER_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
};

export const jsonAnswer = (status: number, body: JsonObject, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { ...ANSWER_HEADERS, 'content-type': 'application/json', ...headers } });

export const problemAnswer = (problem: Problem): Response =>
  new Response(JSON.stringify(problemBody(problem)), {
    status: problemStatus(problem.code),
    headers: {
      ...ANSWER_HEADERS,
      'content-type': PROBLEM_TYPE,
      ...(problem.code === 'unauthenticated' ? { 'www-authenticate': 'Bearer realm="curfew"' } : {}),
      ...problem.headers,
    },
  });
