/** Who gets the trace of a rule: an operator who may explain, and nobody else, before anything of the policy is read. */
import { expect, test } from 'vitest';
import type { Principal } from '../../src/admin/principal.ts';
import type { TraceAsk } from '../../src/gateways/opa/trace.ts';
import { createPolicyTrace, createTraceAsker } from '../../src/supervisor/policy-trace.ts';

const ASK: TraceAsk = { token: 't', realm: 'default', rule: 'a/b', input: {}, nowMs: 0, explain: 'full', pretty: false };
const principal = (more: Partial<Principal>): Principal => ({ kind: 'operator', id: 'user:a', roles: ['issuer'], groups: [], persons: ['user:a'], ...more });

test.each<[string, Principal | undefined, boolean]>([
  ['an operator with a role', principal({}), true],
  ['nobody', undefined, false],
  ['an operator without a role', principal({ roles: [] }), false],
  ['the bootstrap credential', principal({ kind: 'bootstrap', roles: ['configurer'] }), false],
  ['a token that may have expired', principal({ untimed: true }), false],
])('%s', async (_who, who, reads) => {
  let read = false;
  const asked: string[] = [];
  const trace = createPolicyTrace({
    authenticate: async (token, realm) => { asked.push(`${token} ${realm}`); return who; },
    sources: () => { read = true; return undefined; },
  });
  // Why there is none is for whoever may have one.
  expect(await trace(ASK)).toEqual(reads ? { none: 'no_rego' } : undefined);
  expect(await trace({ ...ASK, input: undefined })).toEqual(reads ? { none: 'no_rego' } : undefined);
  expect([read, asked]).toEqual([reads, ['t default', 't default']]);
});

test('a worker waits for few traces at once, sends no header that is no token, and takes an absent trace for none', async () => {
  const told: number[] = [];
  const { ask, receive } = createTraceAsker((message) => { if (message.type === 'want-trace') told.push(message.id); });
  expect(await ask({ ...ASK, token: 'a b' })).toBeUndefined();
  const [first, second] = [ask(ASK), ask(ASK)];
  expect(await ask(ASK)).toBeUndefined();
  expect(told).toEqual([1, 2]);
  receive({ type: 'trace', id: 2, told: { text: '[{"op":"enter"}]' } });
  receive({ type: 'trace', id: 1 });
  expect([await first, await second]).toEqual([undefined, { trace: [{ op: 'enter' }] }]);
});
