/** People and workloads over HTTP. */
import { z } from '@hono/zod-openapi';
import type { JsonObject } from '../domain/json.ts';
import { formatPosition } from '../domain/position.ts';
import type { Directory } from '../lifecycle/directory.ts';
import type { Done } from '../lifecycle/execute.ts';
import { isUnconfirmed, pageView } from '../lifecycle/view.ts';
import { done, found } from './answers.ts';
import { endedStatus, wantsAsync } from './endings.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { nodes, pageAnswer, pageQuery } from './schemas.ts';

const tag = 'directory';
const UNCONFIRMED = 'Committed, and what it ended is not known to be enforced: a process stands still';
const words = () => z.array(z.string().min(1).max(2_048)).max(256);

const personBody = z.strictObject({ accounts: words().default([]), teams: words().default([]), active: z.boolean().default(true) });
const workloadBody = z.strictObject({
  kind: z.string().max(64).default('service'), owner: z.string().max(256), fallbackOwner: z.string().max(256), tier: z.string().max(128).default('standard'),
  aliases: words().default([]), active: z.boolean().default(true),
});
const person = z.object({ id: z.string(), accounts: z.array(z.string()), teams: z.array(z.string()), formerTeams: z.array(z.string()), active: z.boolean(), source: z.string(), position: z.string(), nodes }).openapi('Person');
const workload = z.object({
  id: z.string(), kind: z.string(), owners: z.array(z.string()), fallbackOwners: z.array(z.string()), tier: z.string(), aliases: z.array(z.string()), active: z.boolean(), position: z.string(), nodes,
}).openapi('Workload');

const without = (value: JsonObject): JsonObject => Object.fromEntries(Object.entries(value).filter(([name]) => name !== 'version'));

const shown = (value: unknown, commit: Done): JsonObject => {
  const told = { ...without(value as JsonObject), position: formatPosition(commit.position) };
  return isUnconfirmed(commit) ? { ...told, nodes: (commit.enforced?.by ?? []).map((node) => ({ ...node })) } : told;
};

export const directoryEndpoints = (directory: Directory): readonly Endpoint[] => [
  endpoint({
    method: 'put', path: '/people/{id}', command: 'person.set', summary: 'Say who a person is; `active: false` ends what rests on them', tag, body: personBody,
    answers: { 200: { description: 'The person', schema: person }, 202: { description: UNCONFIRMED, schema: person } },
    handle: async ({ call, params, body, headers }) => done(await directory.setPerson(call, { id: params['id'] ?? '', ...body }, 'api', wantsAsync(headers)), endedStatus(200), (reply, commit) => shown(reply['person'], commit)),
  }),
  endpoint({
    method: 'get', path: '/people', command: 'directory.read', summary: 'List people', tag, query: pageQuery,
    answers: { 200: { description: 'A page of people', schema: pageAnswer(person) } },
    handle: async ({ realm, query }) => ({ status: 200, body: pageView(await directory.list(realm, 'person', query)) }),
  }),
  endpoint({
    method: 'get', path: '/people/{id}', command: 'directory.read', summary: 'One person', tag,
    answers: { 200: { description: 'The person', schema: person } },
    handle: async ({ realm, params }) => found(await directory.person(realm, params['id'] ?? ''), 'person'),
  }),
  endpoint({
    method: 'put', path: '/workloads/{id}', command: 'workload.set', summary: 'Register a workload, or change who answers for it', tag, body: workloadBody,
    answers: { 200: { description: 'The workload', schema: workload }, 202: { description: UNCONFIRMED, schema: workload } },
    handle: async ({ call, params, body, headers }) => done(await directory.setWorkload(call, { id: params['id'] ?? '', ...body }, wantsAsync(headers)), endedStatus(200), (reply, commit) => shown(reply['workload'], commit)),
  }),
  endpoint({
    method: 'get', path: '/workloads', command: 'directory.read', summary: 'List workloads', tag, query: pageQuery,
    answers: { 200: { description: 'A page of workloads', schema: pageAnswer(workload) } },
    handle: async ({ realm, query }) => ({ status: 200, body: pageView(await directory.list(realm, 'workload', query)) }),
  }),
  endpoint({
    method: 'get', path: '/workloads/{id}', command: 'directory.read', summary: 'One workload', tag,
    answers: { 200: { description: 'The workload', schema: workload } },
    handle: async ({ realm, params }) => found(await directory.workload(realm, params['id'] ?? ''), 'workload'),
  }),
];
