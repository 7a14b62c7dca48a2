/** What `curfew/client` exports. */
export { createCurfewClient } from './client.ts';
export type { Allowed, Answer, ClientClock, CurfewClient, CurfewOptions, Obligation, Question, Refused } from './client.ts';
export { curfewConnect, curfewHono, describeHttp, guardFetch, httpResourceId } from './middleware.ts';
export type { GuardOptions, HttpRequestLike } from './middleware.ts';
