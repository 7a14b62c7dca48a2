/** Configuration of signals: who outside says that a task began or is over, and how that is believed. */
import { z } from 'zod';
import { urlFault } from '../bounded/url.ts';
import { isLoopback } from '../domain/loopback.ts';
import { isPerson } from '../domain/lifecycle/fields.ts';
import { SELECTOR_KINDS } from '../domain/selector.ts';
import { scimConfig } from './scim/config.ts';
import { hookSecret } from './secret-config.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const sourceId = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be small letters, digits and dashes').describe('name of the source; its tasks are named `<source>:<id there>`');

const source = {
  id: sourceId,
  realm: z.string().min(1).optional().describe('realm of its tasks; absent: the default one'),
  taskKind: z.string().min(1).max(128).default('ci-run').describe('kind of the tasks that it opens'),
  owner: z.string().refine(isPerson, 'must be a person or team such as team:shop').describe('who answers for the tasks that it opens'),
};

const githubHook = z.strictObject({
  kind: z.literal('github'), ...source,
  secret: hookSecret.describe('secret of the webhook; `X-Hub-Signature-256` is checked with it'),
  repositories: z.array(z.string().regex(/^[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/, 'must be owner/name')).min(1).optional().describe('only these; absent: every repository whose events are signed with the secret'),
});
const gitlabHook = z.strictObject({
  kind: z.literal('gitlab'), ...source,
  secret: hookSecret.describe('secret token of the webhook (`X-Gitlab-Token`)'),
  projects: z.array(z.int().min(1)).min(1).optional().describe('ids of projects; absent: every one that knows the token'),
});
const genericHook = z.strictObject({
  kind: z.literal('generic'), ...source,
  secret: hookSecret.describe('key of the signature, as Standard Webhooks has it'),
  mayEnd: z.array(z.enum(SELECTOR_KINDS)).default([]).describe('kinds of selectors that it may revoke by; none: it may only speak of its tasks'),
});

const chatHook = z.strictObject({
  kind: z.literal('chat'),
  id: sourceId.describe('name of the chat tool'),
  realm: source.realm.describe('realm of the requests; absent: the default one'),
  secret: hookSecret.describe('key of the signature, as Standard Webhooks has it'),
  persons: z
    .record(z.string().regex(/^[\x21-\x7e]{1,200}$/, 'must be visible ASCII'), z.string().refine((person) => isPerson(person) && person.startsWith('user:'), 'must be a person such as user:alice'))
    .describe('who is who: accounts of the chat tool, as it names them, by person; these may approve and deny there as with the role approver. The tool is believed about who pressed a button'),
});

const fetched = {
  token: hookSecret.optional().describe('bearer token'),
  ca: z.string().min(1).optional().describe('file with the authorities to trust instead of the well-known ones, PEM'),
  insecureLoopback: z.boolean().default(false).describe('allow http to this machine'),
};
const address = (example: string) => z.string().max(2_000).describe(`such as ${example}`);

const pollers = [
  z.strictObject({ kind: z.literal('github'), ...source, ...fetched, url: address('https://api.github.com').default('https://api.github.com'), repository: z.string().regex(/^[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/, 'must be owner/name') }),
  z.strictObject({ kind: z.literal('gitlab'), ...source, ...fetched, url: address('https://gitlab.example.org'), project: z.int().min(1) }),
  z.strictObject({ kind: z.literal('kubernetes'), ...source, ...fetched, url: address('https://kubernetes.default.svc'), namespace: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a namespace') }),
  z.strictObject({
    kind: z.literal('ticket'), ...source, ...fetched,
    url: address('https://tickets.example.org/api/issues/{id}').refine((url) => url.split('{id}').length === 2, 'must have {id} once'),
    state: z.string().regex(/^\/[\x20-\x7e]{1,200}$/, 'must be a JSON pointer').default('/state').describe('where its state stands in the answer, as a JSON pointer'),
    open: z.array(z.string().min(1).max(100)).min(1).default(['open']).describe('states in which it is open; in every other one it is over'),
    references: z.string().min(1).max(64).optional().describe('references that begin like this are tickets there (`INC-`): they must be there and open when access is issued or asked for'),
  }),
] as const;

export const signalsConfig = z
  .strictObject({
    host: z.string().min(1).default('127.0.0.1').describe('address to listen on for webhooks'),
    port: z.union([z.literal(false), z.int().min(0).max(65_535)]).default(false).describe('false: no webhooks are taken'),
    tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional().describe('files, PEM; needed beyond loopback'),
    plaintext: z.literal('allowed').optional().describe('no TLS beyond loopback: only behind something that brings it'),
    bodyBytesMax: z.int().min(1_024).max(26_214_400).default(1_048_576).describe('larger webhooks are refused before they are looked at'),
    hooks: z.array(z.discriminatedUnion('kind', [githubHook, gitlabHook, genericHook, chatHook])).max(100).default([]).describe('who may send webhooks to `/signals/<id>`'),
    scim: z.array(scimConfig).max(32).default([]).describe('people sources that send to `/scim/<id>/v2` (SCIM 2.0). Teams and roles of their groups are those of `admin.operators.groups`'),
    pollers: z.array(z.discriminatedUnion('kind', [...pollers])).max(100).default([]).describe('who is asked how its tasks are'),
    strictReferences: z.boolean().default(false).describe('refuse references that no ticket source of `pollers` has in its `references`'),
    pollMs: z.int().min(100).max(DAY).default(30_000).describe('pause between two rounds of asking'),
    timeoutMs: z.int().min(100).max(60_000).default(5_000).describe('longest wait for one answer'),
  })
  .superRefine(({ host, port, tls, plaintext, hooks, scim, pollers: polled }, context) => {
    if (port !== false && !isLoopback(host) && tls === undefined && plaintext === undefined) context.addIssue({ code: 'custom', path: ['tls'], message: 'is needed on an address beyond loopback; or write `plaintext: allowed`' });
    for (const [where, list] of [['hooks', hooks], ['pollers', polled], ['scim', scim]] as const) {
      list.forEach(({ id }, index) => {
        if (list.findIndex((other) => other.id === id) !== index) context.addIssue({ code: 'custom', path: [where, index, 'id'], message: `\`${id}\` is there twice` });
      });
    }
    const [first] = [...hooks, ...scim];
    if (first !== undefined && port === false) context.addIssue({ code: 'custom', path: ['port'], message: `is needed: what ${first.id} sends would arrive nowhere` });
    polled.forEach(({ url, insecureLoopback }, index) => {
      const fault = urlFault(url.replace('{id}', 'x'), insecureLoopback);
      if (fault !== undefined) context.addIssue({ code: 'custom', path: ['pollers', index, 'url'], message: fault });
    });
  })
  .describe('signals: who outside says that a task began or is over');
export type SignalsConfig = z.output<typeof signalsConfig>;
export type HookConfig = SignalsConfig['hooks'][number];
export type PollerConfig = SignalsConfig['pollers'][number];
