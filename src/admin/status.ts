/** What goes on at this node: for an operator who wants to know at a glance. */
import { z } from '@hono/zod-openapi';
import type { JsonObject } from '../domain/json.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { instantText } from './schemas.ts';

/** As seen from one realm. */
export type NodeStatus = (realm: string) => Promise<JsonObject>;

const statusAnswer = z.object({
  ready: z.boolean(), faults: z.array(z.string()).describe('what is missing, or wrong without keeping it from deciding'),
  now: instantText(), version: z.string(), startedAt: instantText(),
  workers: z.object({ wanted: z.int(), ready: z.int(), restarts: z.object({ watchdog: z.int(), crash: z.int() }), quarantined: z.int() }),
  bundle: z.object({ revision: z.string(), digest: z.string(), since: instantText() }),
  clock: z.object({ trusted: z.boolean(), behindMs: z.int().describe('by how much the wall clock lies behind time already used') }),
  store: z.object({ readable: z.boolean(), writable: z.boolean(), detail: z.string().optional(), position: z.string(), endings: z.int().describe('how many there were in this realm') }),
  decisions: z.object({
    allow: z.int(), deny: z.int(), unrecorded: z.int().describe('records that were dropped'),
    lately: z.object({
      ms: z.int().describe('the time counted'), allow: z.int(), deny: z.int(), reasons: z.array(z.object({ reason: z.string(), count: z.int() })).describe('of the denials, most frequent first'),
    }).optional(),
  }).describe('of all realms, since the start'),
  issuers: z.array(z.object({ issuer: z.string(), keys: z.int().optional() })).describe('without `keys`: none could be had'),
  rollback: z.enum(['detectable', 'undetectable']).describe('whether an anchor of the record would tell at the next start that the store was put back'),
  suspensions: z.object({ standing: z.int(), atLeast: z.boolean().describe('there are more than were looked at') }).describe('of this realm'),
}).openapi('Status');

export const statusEndpoints = (status: NodeStatus): readonly Endpoint[] => [
  endpoint({
    method: 'get', path: '/status', command: 'node.read', summary: 'What goes on at this node', tag: 'node',
    answers: { 200: { description: 'Also 200 when the node is not ready', schema: statusAnswer } },
    handle: async ({ realm }) => ({ status: 200, body: await status(realm) }),
  }),
];
