/** `data.system.log`: what it says is taken out before anything is written; what it gets wrong costs the content, never leaks it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { createRecordText } from '../../src/audit/encode-record.ts';
import { createLogRules, type LogGuard, type LogPolicy } from '../../src/audit/log-rules.ts';
import type { PolicyOutcome } from '../../src/decision/ports.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { loadPolicy, type LoadedPolicy } from '../../src/policy/load-policy.ts';
import { usualEntrypoints } from '../../src/policy/source/entrypoints.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import type { Toolchain } from '../../src/policy/toolchain/toolchain.ts';
import { describeWith } from '../parts.ts';
import { sampleRecord } from './sample-record.ts';

const CANARY = 'canary-91ce';
const record = (input: JsonObject = { user: { name: CANARY, tags: ['a', CANARY] }, path: ['x'] }) =>
  ({ ...sampleRecord('r', input), policy: { revision: 'r1', digest: 'd', result: { allow: true, note: 'kept', deep: { secret: CANARY } } } });

const saying = (mask: PolicyOutcome, drop: PolicyOutcome = { kind: 'undefined' }): LogPolicy =>
  ({ revision: 'r1', entrypoints: ['system/log/mask', 'system/log/drop'], evaluate: (entrypoint) => (entrypoint === 'system/log/drop' ? drop : mask) });
const masks = (value: JsonValue): LogPolicy => saying({ kind: 'value', value });
const written = (policy: LogPolicy | undefined, given = record()): string | undefined => createRecordText({ redactHeaders: [], recordBytesMax: 65_536, rules: createLogRules(() => policy) })(given);
const line = (policy: LogPolicy | undefined, given = record()): any => JSON.parse(written(policy, given) as string);

describe('masks', () => {
  test('remove and replace at JSON pointers below input and result, and say where', () => {
    const masked = line(masks(['/input/user/name', { op: 'upsert', path: '/input/user/tags/1', value: 'gone' }, { op: 'remove', path: '/result/deep/secret' }, '/input/nowhere']));
    expect(masked).toMatchObject({ input: { user: { tags: ['a', 'gone'] }, path: ['x'] }, policy: { result: { allow: true, note: 'kept', deep: {} } }, erased: ['/input/user/name', '/result/deep/secret'], masked: ['/user/name', '/user/tags/1'] });
    expect(JSON.stringify(masked)).not.toContain(CANARY);
  });
  test('a whole input or result, members with odd names, and an element of a list', () => {
    expect(line(masks(['/input']))).not.toHaveProperty('input');
    expect(line(masks(['/result'])).policy).not.toHaveProperty('result');
    const odd = JSON.parse('{"a/b":1,"c~d":2,"__proto__":{"x":3},"list":[1,2,3]}') as JsonObject;
    expect(JSON.stringify(line(masks(['/input/a~1b', '/input/c~0d', '/input/__proto__', '/input/list/1']), record(odd)).input)).toBe('{"list":[1,3]}');
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });
  test('without rules, and with none that say anything, the line is the same', () => {
    const plain = written(undefined);
    expect(written(masks([]))).toBe(plain);
    expect(written(saying({ kind: 'undefined' }))).toBe(plain);
    expect(written({ ...masks(['/input']), entrypoints: [] })).toBe(plain);
  });
  test('G4: whatever a rule gets wrong costs the whole content', () => {
    const wrong: readonly PolicyOutcome[] = [
      { kind: 'failed', reason: 'policy.error', detail: CANARY },
      ...[true, 'x', { a: 1 }, ['input/user'], ['/custom'], ['/inputs'], [5], [{ op: 'move', path: '/input/user' }], [{ op: 'upsert', path: '/input/user' }], [{ op: 'upsert', path: '/input', value: 1 }], ['/input/user/name', null], Array.from({ length: 1_001 }, () => '/input/a')].map((value): PolicyOutcome => ({ kind: 'value', value: value as JsonValue })),
    ];
    for (const outcome of wrong) {
      const text = written(saying(outcome)) as string;
      expect(text, JSON.stringify(outcome)).not.toContain(CANARY);
      expect(JSON.parse(text)).toMatchObject({ id: 'r', erased: ['/input', '/result'], maskFailed: expect.stringMatching(/^data\.system\.log/) });
    }
    const throwing: LogPolicy = { ...masks([]), evaluate: () => { throw new Error(CANARY); } };
    expect(written(throwing)).not.toContain(CANARY);
  });
  test('drop leaves the decision out where it says true, and nothing else does', () => {
    expect(written(saying({ kind: 'value', value: [] }, { kind: 'value', value: true }))).toBeUndefined();
    for (const value of [false, 'true', 1, {}]) expect(written(saying({ kind: 'value', value: [] }, { kind: 'value', value }))).toBeDefined();
    expect(written(saying({ kind: 'value', value: [] }, { kind: 'failed', reason: 'policy.error', detail: '' }))).toBeDefined();
  });
});

test('rules that stopped a process before are not asked for that workload: content is left out, nothing is dropped; the guard is left however they end', () => {
  const entered: unknown[] = [];
  let left = 0;
  const guard = (may: boolean): LogGuard => ({ enter: (...of) => { entered.push(of); return may; }, leave: () => { left += 1; } });
  const text = (policy: LogPolicy, may: boolean): unknown => createLogRules(() => policy, guard(may))(record());
  const never: LogPolicy = { ...masks([]), evaluate: () => { throw new Error('asked'); } };
  expect(text({ ...never, entrypoints: ['system/log/drop'] }, false)).toMatchObject({ erased: ['/input', '/result'], maskFailed: 'data.system.log took too long before' });
  expect([entered.length, left]).toEqual([1, 0]);
  expect(text(never, true)).toMatchObject({ maskFailed: 'data.system.log failed' });
  expect(left).toBe(1);
});

describeWith(['go'], 'in Rego', () => {
  let toolchain: Toolchain;
  let policy: LoadedPolicy;
  const sources = {
    'access.rego': 'package curfew.access\n\ndecision := {"allow": true}\n',
    'log.rego': `package system.log

mask contains "/input/user/name" if input.input.user.name

mask contains {"op": "upsert", "path": "/input/user/tags", "value": "hidden"} if input.input.user.tags

mask contains "/result/deep" if input.result.deep

drop if input.input.path[0] == "health"
`,
  };
  beforeAll(async () => {
    buildToolchain();
    toolchain = await openToolchain();
    const entrypoints = usualEntrypoints(sources);
    expect(entrypoints).toEqual(['curfew/access/decision', 'system/log/mask', 'system/log/drop']);
    policy = await loadPolicy(await toolchain.compile(sources, { entrypoints }), { entrypoints });
  }, 600_000);
  afterAll(() => toolchain?.close());

  test('rules as OPA users have them', () => {
    const masked = line(policy);
    expect(masked).toMatchObject({ input: { user: { tags: 'hidden' } }, erased: expect.arrayContaining(['/input/user/name', '/result/deep']) });
    expect(JSON.stringify(masked)).not.toContain(CANARY);
    expect(written(policy, record({ path: ['health'] }))).toBeUndefined();
  });
});
