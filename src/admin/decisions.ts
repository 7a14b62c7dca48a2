/** Why: explanations of what would be decided, and records of what was. */
import type { Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import { found } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { anyAnswer, explainBody } from './schemas.ts';

export interface ExplainRequest {
  /** Judge for this workload as if it had proved itself. */
  readonly workload?: string | undefined;
  /** Judge with this credential; instead of `workload`. */
  readonly token?: string | undefined;
  readonly action: string;
  readonly resource: { readonly type: string; readonly id: string };
  /** For the conditions of grants: audiences of the credential, the PEP that asks, the address of the end client. */
  readonly audience?: readonly string[] | undefined;
  readonly pep?: string | undefined;
  readonly source?: string | undefined;
  readonly context?: JsonObject | undefined;
  /** Judge as if it were then, by what is known now. */
  readonly at?: Instant | undefined;
}

/** Decides without claiming or recording anything, and says of each grant why it counted or not. */
export type Explain = (realm: string, request: ExplainRequest) => Promise<JsonObject>;

/** A decision record by its id, as far as it is kept. */
export type FindDecision = (id: string) => Promise<JsonObject | undefined>;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const decisionEndpoints = (explain: Explain, findDecision: FindDecision): readonly Endpoint[] => [
  endpoint({
    method: 'post', path: '/explain', command: 'explain', summary: 'What would be decided, and why', tag: 'decisions', body: explainBody,
    answers: { 200: { description: 'The decision and the grants looked at', schema: anyAnswer } },
    handle: async ({ realm, body }) => {
      if ((body.workload === undefined) === (body.token === undefined)) {
        const fault = { path: '/workload', message: 'or token: exactly one of them is needed' };
        return { problem: { code: 'invalid', detail: `${fault.path} ${fault.message}`, faults: [fault] } };
      }
      return { status: 200, body: await explain(realm, body as ExplainRequest) };
    },
  }),
  endpoint({
    method: 'get', path: '/decisions/{id}', command: 'decision.read', summary: 'The record of a decision', tag: 'decisions',
    answers: { 200: { description: 'The record, as it stands in the log: its instants are milliseconds since the epoch', schema: anyAnswer } },
    handle: async ({ realm, params }) => {
      const id = params['id'] ?? '';
      const record = UUID.test(id) ? await findDecision(id) : undefined;
      // A record of another realm is not this realm's to show.
      return found(record !== undefined && record['realm'] === realm ? record : undefined, 'decision in the log that is kept');
    },
  }),
];
