import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { PolicyOutcome } from '../../src/decision/ports.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { BundleRefused } from '../../src/policy/bundle/bundle-refused.ts';
import { readBundle } from '../../src/policy/bundle/read-bundle.ts';
import { createEngine, outcomeOf, type Engine } from '../../src/policy/engine/engine.ts';
import { compileModule } from '../../src/policy/engine/module.ts';
import { ENGINE_LIMITS, loadPolicy, type LoadedPolicy } from '../../src/policy/load-policy.ts';
import { builtinNamed } from '../../src/policy/builtins/registry.ts';

const fixture = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'fixtures', `${name}.tar.gz`));
const now = 1_700_000_000_123 as Instant;
const refusal = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'accepted', (error: unknown) => error);

let policy: LoadedPolicy;
beforeAll(async () => {
  policy = await loadPolicy(fixture('engine'), { entrypoints: [] });
});
const ask = (rule: string, input: JsonObject = {}): PolicyOutcome => policy.evaluate(`fixture/engine/${rule}`, input, now);
const failed = (detail: string | RegExp) => ({ kind: 'failed', reason: 'policy.error', detail: typeof detail === 'string' ? detail : (expect.stringMatching(detail) as string) });
/** The engine is as good as new. */
const stillWorks = (): void => expect(ask('echo', { a: 1 })).toEqual({ kind: 'value', value: { a: 1 } });

describe('D3: what counts as a result', () => {
  test.each([0, '', false, null, [], {}, 'x', 1.5])('the input %j is seen as itself', async (input) => {
    const engine = await engineOf('engine');
    expect(engine.evaluate('fixture/engine/echo', input, now)).toEqual({ kind: 'value', value: input });
  });

  test.each([true, 'true', 1, [], {}, null, false, { allow: 'true' }])('the result %j arrives as it is', (shape) => {
    expect(ask('shape', { shape })).toEqual({ kind: 'value', value: shape });
  });

  test('no result is undefined', () => {
    expect(ask('shape')).toEqual({ kind: 'undefined' });
  });

  test.each([
    ['set()', { kind: 'undefined' }],
    ['{{"result": true}}', { kind: 'value', value: true }],
    ['{{"result": true}, {"result": false}}', { kind: 'failed', reason: 'policy.malformed', detail: 'the policy gave 2 results' }],
    ['{{"result": {1}}, {"result": false}}', { kind: 'failed', reason: 'policy.malformed', detail: 'the policy gave 2 results' }],
    ['{{"x": 1}}', { kind: 'failed', reason: 'policy.malformed', detail: 'the policy gave a result without a value' }],
    ['{{"__proto__": {"result": true}}}', { kind: 'failed', reason: 'policy.malformed', detail: 'the policy gave a result without a value' }],
    ['{null}', { kind: 'failed', reason: 'policy.malformed', detail: 'the policy gave a result without a value' }],
    ['{"result": true}', { kind: 'failed', reason: 'policy.malformed', detail: 'the policy gave no result set' }],
    ['true', { kind: 'failed', reason: 'policy.malformed', detail: 'the policy gave no result set' }],
    ['{{"result": null}}', { kind: 'value', value: null }],
    ['{{"result": "}} set() {{"}}', { kind: 'value', value: '}} set() {{' }],
    ['{{"result": {3, 10, {"b", "a"}, 2}}}', { kind: 'value', value: [2, 3, 10, ['a', 'b']] }],
    ['{{"result": set()}}', { kind: 'value', value: [] }],
    ['{{"result": {1: {"a"}, [{2, 1}]: 12345678901234567000}}}', { kind: 'value', value: { 1: ['a'], '[[1,2]]': Number('12345678901234567000') } }],
    ['{{"result": {1: {"a"}, [{2, 1}]: 12345678901234567890}}}', { kind: 'failed', reason: 'policy.malformed', detail: 'the result has a number that can not be given with all its digits' }],
    ['{{"result": 0.12345678901234567890}}', { kind: 'failed', reason: 'policy.malformed', detail: 'the result has a number that can not be given with all its digits' }],
    ['{{"result": [1e2, 1.0, 1700000000123000000, "12345678901234567890"]}}', { kind: 'value', value: [100, 1, 1_700_000_000_123_000_000, '12345678901234567890'] }],
    ['{{"result": {"__proto__": {"x"}}}}', { kind: 'value', value: JSON.parse('{"__proto__": ["x"]}') as JsonValue }],
    ['{{"result": {"a": 1e400}}}', { kind: 'failed', reason: 'policy.malformed', detail: 'the result has a number that is not finite' }],
    ['{{"result": {{1e400}}}}', { kind: 'failed', reason: 'policy.malformed', detail: 'the result has a number that is not finite' }],
  ])('the result set %s', (text, outcome) => {
    expect(outcomeOf(text)).toEqual(outcome);
  });

  test("sets arrive sorted as OPA sorts them, whatever the module's order", () => {
    expect(ask('sorted')).toEqual({ kind: 'value', value: { set: ['a', 'b', 'c', [1, 2, 3]], 1: 'key', '["x"]': [] } });
  });

  test('text that is neither JSON nor Rego is a failure', () => {
    expect(() => outcomeOf('{{"result": ')).toThrow(SyntaxError);
    expect(ask('large', { json: '{"a": 1e400}' })).toEqual({ kind: 'failed', reason: 'policy.malformed', detail: 'the result has a number that is not finite' });
  });

  test('every JSON value goes through the module unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }), (shape) => {
        const exact = JSON.parse(JSON.stringify(shape)) as JsonValue;
        expect(ask('shape', { shape: exact })).toEqual({ kind: 'value', value: exact });
      }),
      { numRuns: 300 },
    );
  });
});

describe('failures deny and leave nothing behind', () => {
  test('an entrypoint that is not there', () => {
    expect(ask('nowhere')).toEqual(failed('the bundle has no entrypoint fixture/engine/nowhere'));
    expect(policy.evaluate('__proto__', {}, now)).toEqual(failed('the bundle has no entrypoint __proto__'));
  });

  test('rules that disagree', () => {
    expect(ask('conflict', { a: 1, b: 1 })).toEqual(failed(/conflict/));
    stillWorks();
  });

  test('an input that can not be given on unchanged', () => {
    const deep = (depth: number): JsonValue => (depth === 0 ? 1 : [deep(depth - 1)]);
    expect(ask('echo', { a: deep(100) })).toEqual(failed('the input is nested too deeply'));
    expect(ask('echo', { a: deep(62) }).kind).toBe('value');
    expect(ask('echo', { a: Number.POSITIVE_INFINITY })).toEqual(failed('the input has a number that is not finite'));
    expect(ask('echo', { a: [Number.NaN] })).toEqual(failed('the input has a number that is not finite'));
    expect(ask('echo', { a: 'x'.repeat(2_000_000) })).toEqual(failed('the input is larger than 1048576 bytes'));
    expect(ask('echo', { a: '\u00e9'.repeat(600_000) })).toEqual(failed('the input is larger than 1048576 bytes'));
    expect(ask('echo', { a: '\ud800' })).toEqual(failed('the input has a string that is not well-formed Unicode'));
    expect(ask('echo', { 'a\udfff': 1 })).toEqual(failed('the input has a string that is not well-formed Unicode'));
    expect(ask('echo', { a: '\\ud800 \u{1f600} \\\\ud800' }).kind, 'a backslash and letters are not a surrogate').toBe('value');
    const circle: { self?: JsonObject } = {};
    circle.self = circle;
    expect(ask('echo', circle)).toEqual(failed('the input is nested too deeply'));
    expect(ask('echo', { a: 1n as unknown as number })).toEqual(failed(/BigInt/));
    stillWorks();
  });

  test('D2: names that are chosen to meet in one place of a table are refused, as many honest ones are taken', () => {
    // Each of fifteen pairs leads the lower half of the hash to the same value.
    const letters = Array.from('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ');
    const step = (hash: number, letter: string): number => (Math.imul(hash, 0x01000193) ^ letter.charCodeAt(0)) & 0xffff;
    const triples = letters.flatMap((a) => letters.flatMap((b) => letters.slice(0, 8).map((c) => a + b + c)));
    let state = 0x811c9dc5 & 0xffff;
    const pairs: (readonly [string, string])[] = [];
    while (pairs.length < 15) {
      const seen = new Map<number, string>();
      for (const triple of triples) {
        const reached = Array.from(triple).reduce(step, state);
        const other = seen.get(reached);
        if (other !== undefined) {
          pairs.push([other, triple]);
          state = reached;
          break;
        }
        seen.set(reached, triple);
      }
    }
    const object = (name: (index: number) => string, members: number): JsonObject => Object.fromEntries(Array.from({ length: members }, (_, index) => [name(index), 1]));
    const chosen = object((index) => pairs.map((pair, bit) => pair[(index >> bit) & 1 ? 1 : 0]).join(''), 8_000);
    expect(Object.keys(chosen).length).toBe(8_000);
    for (const input of [{ chosen }, { list: [{ chosen }] }]) expect(ask('echo', input)).toEqual(failed('the input has an object whose names collide'));
    for (const honest of [(index: number) => `name-${index}`, (index: number) => String(index), (index: number) => `é${index}`, (index: number) => index.toString(36).padStart(9, 'x')]) {
      const input = object(honest, 12_000);
      expect(ask('echo', input)).toEqual({ kind: 'value', value: input });
    }
    stillWorks();
  });

  test('a result that is too large', () => {
    expect(ask('bulk', { n: 2 }).kind).toBe('value');
    expect(ask('bulk', { n: 2_000 })).toEqual({ kind: 'failed', reason: 'policy.malformed', detail: 'the result is larger than 1048576 bytes' });
    stillWorks();
  });

  test('D2: a policy that wants more memory than there may be', () => {
    expect(ask('hoard', { n: 10 })).toEqual({ kind: 'value', value: 10 });
    expect(ask('hoard', { n: 100_000 })).toEqual(failed('opa_malloc: failed'));
    stillWorks();
  });

  test('D2: an instance that threw or grew past the mark is not used again, others are', async () => {
    const engine = await engineOf('engine');
    const counted = (rule: string, input: JsonObject): readonly [string, number] => {
      const before = engine.replaced();
      return [engine.evaluate(`fixture/engine/${rule}`, input, now).kind, engine.replaced() - before];
    };
    expect(counted('echo', {})).toEqual(['value', 0]);
    expect(counted('shape', {})).toEqual(['undefined', 0]);
    expect(counted('hoard', { n: 100 })).toEqual(['value', 0]);
    expect(counted('hoard', { n: 12_000 })).toEqual(['value', 1]);
    expect(counted('conflict', { a: 1, b: 1 })).toEqual(['failed', 1]);
    expect(counted('beyond', { number: 1.5 })).toEqual(['failed', 1]);
    expect(counted('echo', { a: Number.NaN })).toEqual(['failed', 0]);
    expect(counted('nowhere', {})).toEqual(['failed', 0]);
  });

  test('data that does not fit refuses the bundle', async () => {
    const error = await refusal(loadPolicy(fixture('engine'), { entrypoints: [], engine: { memoryBytesMax: 65_536 * 3 } }));
    expect(error).toMatchObject({ fault: 'wasm.invalid' });
  });
});

describe('builtins', () => {
  test('time stands still within an evaluation and is the decision time', () => {
    expect(ask('now')).toEqual({ kind: 'value', value: Number(now) * 1e6 });
    const twice = ask('twice');
    expect(twice).toEqual({ kind: 'value', value: [Number(now) * 1e6, Number(now) * 1e6] });
    expect(policy.evaluate('fixture/engine/now', {}, 5 as Instant)).toEqual({ kind: 'value', value: 5e6 });
  });

  test('an error in a builtin is undefined, as in OPA', () => {
    expect(ask('defined', { text: 'x' })).toEqual({ kind: 'undefined' });
    expect(ask('negated', { text: 'x' })).toEqual({ kind: 'value', value: true });
    expect(ask('negated', { text: '2025-11-24T16:00:00Z' })).toEqual({ kind: 'undefined' });
  });

  test('what a builtin does not serve fails the evaluation and is not undefined, which `not` would make true', () => {
    expect(ask('beyond', { number: 1 })).toEqual({ kind: 'undefined' });
    expect(ask('beyond', { number: 1.5 })).toEqual(failed('not served: %x of a float with these flags'));
    stillWorks();
  });

  test('sets and digits arrive at builtins as they are', () => {
    expect(ask('sets')).toEqual({ kind: 'value', value: true });
    expect(ask('digits', { number: 12_345_678_901_234_567_000 })).toEqual({ kind: 'value', value: '12345678901234567000' });
    expect(ask('made', { cidr: '10.0.0.0/31' })).toEqual({ kind: 'value', value: ['10.0.0.0', '10.0.0.1'] });
    expect(ask('made', { cidr: '10.0.0.0/8' })).toEqual(failed('not served: more than 65536 addresses'));
  });

  test('D4: a bundle that needs what is not served is refused, with every name and its reason', async () => {
    const error = await refusal(loadPolicy(fixture('unserved'), { entrypoints: [] }));
    expect(error).toBeInstanceOf(BundleRefused);
    expect(error).toMatchObject({ fault: 'builtins.unserved' });
    const { message } = error as BundleRefused;
    expect(message).toMatch(/http\.send \(a decision does not wait for other servers.*rand\.intn \(.*replayed.*strings\.render_template \(not served by this engine\)/);
    expect(message).not.toContain('time.now_ns');
  });

  test("D4: opa-wasm's own builtins, with their backtracking regular expressions, are not reachable", () => {
    expect(builtinNamed('regex.split')?.(['(a+)+$', `${'a'.repeat(5_000)}!`], { now })).toEqual([`${'a'.repeat(5_000)}!`]);
    expect(builtinNamed('sprintf')?.(['%d', [['x']]], { now }), "Go's words, not sprintf-js's").toBe('%!d(string=["x"])');
    expect(builtinNamed('yaml.unmarshal')).toBeUndefined();
    expect(builtinNamed('constructor')).toBeUndefined();
  });
});

describe('loading', () => {
  test('entrypoints that are asked for must be there', async () => {
    expect(await refusal(loadPolicy(fixture('engine'), { entrypoints: ['curfew/access/decision'] }))).toMatchObject({ fault: 'entrypoint.missing' });
  });

  test('data keeps its digits, which no result gives rounded, and its odd names', () => {
    expect(ask('stored')).toEqual({ kind: 'failed', reason: 'policy.malformed', detail: 'the result has a number that can not be given with all its digits' });
    expect(policy.data).toMatchObject({ fixture: { stored: { exact: 0.1, constructor: 1, text: 'é😀' } } });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('entitlements are own members', () => {
    expect(policy.entitlement('a')).toMatchObject({ owner: 'team:a' });
    expect(policy.entitlementIds()).toEqual(['a']);
    expect(['b', '__proto__', 'toString', 'hasOwnProperty'].map((id) => policy.entitlement(id))).toEqual([undefined, undefined, undefined, undefined]);
  });
});

const engineOf = async (name: string): Promise<Engine> => {
  const bundle = await readBundle(fixture(name));
  const resolveBuiltins = (needed: readonly string[]) => new Map(needed.map((builtin) => [builtin, builtinNamed(builtin) ?? (() => undefined)]));
  return createEngine({ ...(await compileModule(bundle.wasm)), dataText: bundle.dataText, resolveBuiltins }, ENGINE_LIMITS);
};
