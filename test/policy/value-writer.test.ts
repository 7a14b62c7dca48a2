import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { BUNDLE_LIMITS } from '../../src/policy/bundle/limits.ts';
import { readBundle } from '../../src/policy/bundle/read-bundle.ts';
import { createEngine, type Engine } from '../../src/policy/engine/engine.ts';
import { createInstance } from '../../src/policy/engine/instance.ts';
import { compileModule } from '../../src/policy/engine/module.ts';
import { LAYOUT_SAMPLE, sameValues } from '../../src/policy/engine/samples-match.ts';
import { createValueWriter, type ValueWriter } from '../../src/policy/engine/value-writer.ts';
import { ENGINE_LIMITS, resolveBuiltins } from '../../src/policy/load-policy.ts';

interface Module {
  readonly opa_malloc: (bytes: number) => number;
  readonly opa_heap_ptr_get: () => number;
  readonly opa_heap_ptr_set: (address: number) => void;
  readonly opa_value_parse: (address: number, bytes: number) => number;
}

const now = 1_700_000_000_123 as Instant;
const bundle = () => readBundle(readFileSync(join(import.meta.dirname, 'fixtures', 'engine.tar.gz')), BUNDLE_LIMITS);

let compiled: WebAssembly.Module;
beforeAll(async () => {
  compiled = await WebAssembly.compile((await bundle()).wasm);
});

/** A module by itself: what its parser makes of a text, and what the writer makes of the value, in one memory. */
const moduleAlone = (inputDepthMax = 64) => {
  const memory = new WebAssembly.Memory({ initial: 5, maximum: 1_024 });
  const never = (): never => {
    throw new Error('not to be called');
  };
  const env = { memory, opa_abort: never, opa_println: never, opa_builtin0: never, opa_builtin1: never, opa_builtin2: never, opa_builtin3: never, opa_builtin4: never };
  const wasm = new WebAssembly.Instance(compiled, { env }).exports as unknown as Module;
  const parse = (text: string): number => {
    const length = Buffer.byteLength(text);
    const address = wasm.opa_malloc(length);
    Buffer.from(memory.buffer).write(text, address);
    return wasm.opa_value_parse(address, length);
  };
  const constants = { null: parse('null'), true: parse('true'), false: parse('false') };
  const writer = createValueWriter({ memory, heapStart: wasm.opa_heap_ptr_get(), reserve: wasm.opa_malloc, constants }, { inputBytesMax: ENGINE_LIMITS.inputBytesMax, inputDepthMax });
  /** `undefined`: the writer gave up. */
  const both = (value: JsonValue): { readonly written: number; readonly end: number; readonly parsed: number } | undefined => {
    const written = writer.write(value);
    if (written === undefined) return undefined;
    wasm.opa_heap_ptr_set(written.end);
    return { written: written.address, end: written.end, parsed: parse(JSON.stringify(value)) };
  };
  const writesAsItParses = (value: JsonValue): boolean | undefined => {
    const made = both(value);
    return made === undefined ? undefined : made.parsed !== 0 && sameValues(memory, made.written, made.parsed);
  };
  return { memory, writer, both, writesAsItParses };
};

const name = fc.oneof(fc.constantFrom('id', 'grants', 'curfew', '__proto__', 'toJSON', '', '0', '17'), fc.string({ maxLength: 20 }));
const scalar = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 120 }), fc.string({ unit: 'binary-ascii', maxLength: 40 }), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger(), fc.integer(), fc.boolean(), fc.constant(null));
const { value: document } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, scalar, fc.array(tie('value'), { maxLength: 14 }), fc.dictionary(name, tie('value'), { maxKeys: 30 })),
}));

describe('inputs are written into the module as its own parser would make them', () => {
  test('whatever the value, and whatever was written before', () => {
    const { writesAsItParses } = moduleAlone();
    let written = 0;
    fc.assert(
      fc.property(document, (value) => {
        const same = writesAsItParses(value);
        expect(same).not.toBe(false);
        if (same === true) written += 1;
      }),
      { numRuns: 3_000 },
    );
    expect(written).toBeGreaterThan(2_900);
  });

  test('a writer that differs in one word is found: no word of a written value can be changed unseen', () => {
    const { memory, both } = moduleAlone();
    const value = { grants: [{ id: 'g1', uses: 3, scopes: [{ actions: ['GET'] }] }], count: 1.5, names: 'member' };
    const made = both(value);
    if (made === undefined) throw new Error('not written');
    expect(sameValues(memory, made.written, made.parsed)).toBe(true);
    const words = new Int32Array(memory.buffer);
    let unseen = 0;
    let changed = 0;
    // The root's own words, and those of its members: from the last block backwards.
    for (let word = (made.written >> 2) + 1; word < made.end >> 2; word += 1) {
      const before = words[word] as number;
      words[word] = before ^ 0x40;
      changed += 1;
      if (sameValues(memory, made.written, made.parsed)) unseen += 1;
      words[word] = before;
    }
    expect(changed).toBeGreaterThan(20);
    // Not part of any value: the heads of blocks (three words: of the table and of three members), and what rounding their sizes up leaves.
    expect(unseen).toBeLessThanOrEqual(4 * 3 + (8 + 3) + 1);
    expect(sameValues(memory, made.written, made.parsed)).toBe(true);
  });

  test('a module of another layout is told from the sample', () => {
    const { memory, both } = moduleAlone();
    const made = both(LAYOUT_SAMPLE);
    if (made === undefined) throw new Error('the sample is too large to be written');
    expect(sameValues(memory, made.written, made.parsed)).toBe(true);
    const bytes = Buffer.from(memory.buffer);
    // Addresses that lead out of memory, types that do not exist, tables of another size.
    for (const [offset, byte] of [[0, 7], [0, 99], [7, 0xff], [8, 1], [12, 1]] as const) {
      const before = bytes[made.parsed + offset] as number;
      bytes[made.parsed + offset] = byte;
      expect(sameValues(memory, made.written, made.parsed), `byte ${offset}`).toBe(false);
      bytes[made.parsed + offset] = before;
    }
  });

  test('the committed modules take values', async () => {
    for (const path of [join(import.meta.dirname, '..', '..', 'bundles', 'curfew.tar.gz'), join(import.meta.dirname, 'fixtures', 'engine.tar.gz')]) {
      const { wasm, dataText } = await readBundle(readFileSync(path), BUNDLE_LIMITS);
      const instance = createInstance({ ...ENGINE_LIMITS, ...(await compileModule(wasm)), dataText, resolveBuiltins: (needed) => resolveBuiltins(needed) });
      expect(instance.takesValues, path).toBe(true);
    }
  });
});

describe('what the writer does not take', () => {
  const gaveUp = (value: unknown, writer: ValueWriter = moduleAlone().writer): boolean => writer.write(value as JsonValue) === undefined;

  test.each([
    ['NaN', { a: Number.NaN }], ['Infinity', [Number.NEGATIVE_INFINITY]], ['a lone surrogate', { a: '\ud800' }], ['a long one', { a: `${'x'.repeat(200)}\udfff` }],
    ['a name beyond ASCII', { ä: 1 }], ['a hole', [undefined]], ['a function', { a: () => 1 }], ['a bigint', { a: 1n }], ['a large text', { a: 'x'.repeat(100_000) }],
    ['many items', { a: Array.from({ length: 5_000 }, () => true) }], ['much', { a: Array.from({ length: 1_000 }, (_, index) => `text ${index}`) }],
  ])('%s', (_what, value) => {
    expect(gaveUp(value)).toBe(true);
  });

  test('depth is bounded as it is for texts, circles too', () => {
    const deep = (depth: number): JsonValue => (depth === 0 ? 1 : [deep(depth - 1)]);
    const { writer } = moduleAlone(8);
    expect(gaveUp(deep(8), writer)).toBe(false);
    expect(gaveUp(deep(9), writer)).toBe(true);
    const circle: { self?: JsonObject } = {};
    circle.self = circle;
    expect(gaveUp(circle, writer)).toBe(true);
    expect(gaveUp({ a: 1 }, writer)).toBe(false);
  });
});

describe('an engine whose inputs are written', () => {
  const engineOf = async (limits: Partial<typeof ENGINE_LIMITS> = {}): Promise<Engine> =>
    createEngine({ ...(await compileModule((await bundle()).wasm)), dataText: (await bundle()).dataText, resolveBuiltins: (needed) => resolveBuiltins(needed) }, { ...ENGINE_LIMITS, ...limits });
  const echo = (engine: Engine, input: JsonValue) => engine.evaluate('fixture/engine/echo', input, now);

  test('any number of names that never come again: right answers, one instance, no more memory', async () => {
    const engine = await engineOf();
    for (let round = 0; round < 3_000; round += 1) {
      const input = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`x-${round}-${index}-${'n'.repeat(round % 50)}`, { at: index, [`y${round}`]: [round] }]));
      expect(echo(engine, input)).toEqual({ kind: 'value', value: input });
    }
    expect(engine.replaced()).toBe(0);
  });

  test('faults of an input cost no instance', async () => {
    const engine = await engineOf();
    for (let round = 0; round < 50; round += 1) {
      expect(echo(engine, { a: [Number.NaN] }).kind).toBe('failed');
      expect(echo(engine, { a: '\ud800' }).kind).toBe('failed');
      expect(echo(engine, { a: 'x'.repeat(2_000_000) }).kind).toBe('failed');
    }
    expect(engine.replaced()).toBe(0);
    expect(echo(engine, { a: 1 })).toEqual({ kind: 'value', value: { a: 1 } });
  });

  test('the limit in bytes of text holds exactly, by whichever way an input goes', async () => {
    const engine = await engineOf({ inputBytesMax: 300 });
    for (const filler of ['x', '\u0001', 'é', '\\']) {
      for (let length = 0; length < 320; length += 1) {
        const input = { [`${'n'.repeat(30)}`]: filler.repeat(length) };
        expect(echo(engine, input).kind, `${length} of ${JSON.stringify(filler)}`).toBe(Buffer.byteLength(JSON.stringify(input)) <= 300 ? 'value' : 'failed');
      }
    }
  });
});
