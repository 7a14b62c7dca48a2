/** A policy may have as much text of its own as its memory allows: what OPA compiles from many rules begins with more than a small one does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { readBundle } from '../../src/policy/bundle/read-bundle.ts';
import { createEngine, type Engine } from '../../src/policy/engine/engine.ts';
import { compileModule, importedPages } from '../../src/policy/engine/module.ts';
import { ENGINE_LIMITS, resolveBuiltins } from '../../src/policy/load-policy.ts';

const PAGE_BYTES = 65_536;
const leb = (value: number): readonly number[] => (value < 128 ? [value] : [(value % 128) + 128, ...leb(Math.floor(value / 128))]);
const name = (text: string): readonly number[] => [text.length, ...Buffer.from(text)];
const section = (id: number, bytes: readonly number[]): readonly number[] => [id, ...leb(bytes.length), ...bytes];
/** With a type section before, so that functions can be imported. */
const moduleOf = (...imports: readonly (readonly number[])[]): Uint8Array =>
  Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section(1, [1, 0x60, 0, 0]), ...(imports.length === 0 ? [] : section(2, [...leb(imports.length), ...imports.flat()]))]);
const imported = (kind: number, ...type: readonly number[]): readonly number[] => [...name('env'), ...name('x'), kind, ...type];
const [FUNCTION, TABLE, TABLE_TO_9, GLOBAL] = [imported(0, 0), imported(1, 0x70, 0, 3), imported(1, 0x70, 1, 3, 9), imported(3, 0x7f, 0)];

test.each([
  ['nothing imported', moduleOf(), 0],
  ['no memory imported', moduleOf(FUNCTION, TABLE, GLOBAL), 0],
  ['the memory alone', moduleOf(imported(2, 0, 7)), 7],
  ['after a function', moduleOf(FUNCTION, imported(2, 0, 7)), 7],
  ['after tables and a global', moduleOf(TABLE, TABLE_TO_9, GLOBAL, imported(2, 0, 7)), 7],
  ['with a maximum', moduleOf(imported(2, 1, ...leb(300), ...leb(1_024))), 300],
  ['of many pages', moduleOf(FUNCTION, imported(2, 0, ...leb(20_000)), FUNCTION), 20_000],
])('%s', async (_name, wasm, pages) => {
  expect(await compileModule(wasm)).toEqual({ module: expect.any(WebAssembly.Module) as WebAssembly.Module, memoryPages: Math.max(5, pages) });
  expect(importedPages(wasm)).toBe(pages);
});

/** The engine's fixture as if it had more text: its least number of pages, one byte, is changed. */
const engineWith = async (pages: number): Promise<Engine> => {
  const bundle = await readBundle(readFileSync(join(import.meta.dirname, 'fixtures', 'engine.tar.gz')));
  const wasm = Buffer.from(bundle.wasm);
  const at = wasm.indexOf(Buffer.from([...name('env'), ...name('memory'), 2, 0]));
  expect(at).toBeGreaterThan(0);
  const least = at + name('env').length + name('memory').length + 2;
  expect(wasm[least]).toBe(importedPages(wasm));
  wasm[least] = pages;
  return createEngine({ ...(await compileModule(wasm)), dataText: bundle.dataText, resolveBuiltins: (needed) => resolveBuiltins(needed) }, ENGINE_LIMITS);
};

test.each([6, 7, 100])('a policy that begins with %i pages decides', async (pages) => {
  const engine = await engineWith(pages);
  expect(engine.evaluate('fixture/engine/echo', { a: 1 }, 1_700_000_000_000 as Instant)).toEqual({ kind: 'value', value: { a: 1 } });
  expect(engine.replaced()).toBe(0);
});

test('one that begins with more than it may ever have is refused, and says how much', async () => {
  const limit = ENGINE_LIMITS.memoryBytesMax;
  const bundle = await readBundle(readFileSync(join(import.meta.dirname, 'fixtures', 'engine.tar.gz')));
  const options = { ...(await compileModule(bundle.wasm)), memoryPages: limit / PAGE_BYTES + 1, dataText: bundle.dataText, resolveBuiltins: (needed: readonly string[]) => resolveBuiltins(needed) };
  expect(() => createEngine(options, ENGINE_LIMITS)).toThrow(`begins with ${limit + PAGE_BYTES} bytes of memory, more than ${limit}`);
});
