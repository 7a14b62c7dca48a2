/**
 * One WebAssembly instance of a policy with its data, on `@open-policy-agent/opa-wasm`. Not safe to use again after it has
 * thrown: the stack of the module is then where the throw left it. opa-wasm's own import functions and `evaluate` are not
 * used: its builtins win over ours, one that throws ends the evaluation, falsy input counts as none, and sets and large
 * numbers are lost on the way to a builtin.
 */
import { isUtf8 } from 'node:buffer';
import * as opa from '@open-policy-agent/opa-wasm';
import type { Instant } from '../../domain/instant.ts';
import type { JsonValue } from '../../domain/json.ts';
import type { Builtin, BuiltinContext } from '../builtins/builtin.ts';
import { NotServed, notServed } from '../rego/not-served.ts';
import { readRegoValue, writeRegoValue } from '../rego/value.ts';
import type { PolicyModule } from './module.ts';
import { hideMarkers, isTrap } from './planted.ts';
import { LAYOUT_SAMPLE, sameValues } from './samples-match.ts';
import { createValueWriter, type ValueWriter, type WriterLimits } from './value-writer.ts';

const PAGE_BYTES = 65_536;

/** Asks for results as Rego writes them: JSON would have sets in the order of their hashes. */
const VALUE_FORMAT = 1;

interface PolicyExports {
  readonly opa_wasm_abi_version: WebAssembly.Global;
  readonly opa_wasm_abi_minor_version: WebAssembly.Global;
  readonly builtins: () => number;
  readonly opa_malloc: (bytes: number) => number;
  readonly opa_heap_ptr_set: (address: number) => void;
  readonly opa_json_dump: (value: number) => number;
  readonly opa_value_dump: (value: number) => number;
  readonly opa_value_parse: (address: number, bytes: number) => number;
  readonly opa_heap_ptr_get: () => number;
  readonly opa_eval_ctx_new: () => number;
  readonly opa_eval_ctx_set_input: (context: number, value: number) => void;
  readonly opa_eval_ctx_set_data: (context: number, value: number) => void;
  readonly opa_eval_ctx_set_entrypoint: (context: number, entrypoint: number) => void;
  readonly opa_eval_ctx_get_result: (context: number) => number;
  readonly eval: (context: number) => number;
  readonly opa_eval: (reserved: 0, entrypoint: number, data: number, input: number, inputBytes: number, heap: number, format: 0 | 1) => number;
}

// Its types name the exports that its CommonJS form has; as a module they are members of the default export.
const { LoadedPolicy } = (opa as unknown as { readonly default: typeof opa }).default;

const EXPORTS = ['builtins', 'opa_malloc', 'opa_heap_ptr_set', 'opa_heap_ptr_get', 'opa_json_dump', 'opa_value_dump', 'opa_value_parse', 'opa_eval', 'opa_eval_ctx_new', 'opa_eval_ctx_set_input', 'opa_eval_ctx_set_data', 'opa_eval_ctx_set_entrypoint', 'opa_eval_ctx_get_result', 'eval'] as const;

export interface PolicyInstance {
  /** Ids of the entrypoints by name. */
  readonly entrypoints: ReadonlyMap<string, number>;
  /**
   * Result set as Rego text, which is JSON but for sets and keys that are no strings. Throws on any failure inside the policy, and
   * what `textOf` throws: it is asked for the input as JSON where that is the only way to give it.
   */
  evaluate(entrypoint: number, input: JsonValue, textOf: () => string, now: Instant): string;
  /**
   * Does the outcome depend on the strings `markers` of the input, each there once? Throws on a failure inside the policy that
   * comes before it would; `undefined` when it can't be told.
   */
  reads(entrypoint: number, inputText: string, markers: readonly string[], now: Instant): boolean | undefined;
  memoryBytes(): number;
  /** Inputs are written as values, not as text to be parsed. */
  readonly takesValues: boolean;
}

export interface InstanceOptions extends WriterLimits, PolicyModule {
  readonly dataText: string;
  readonly memoryBytesMax: number;
  /** Answers for every name the module needs; throws for those that aren't served. */
  readonly resolveBuiltins: (needed: readonly string[]) => ReadonlyMap<string, Builtin>;
}

/** Makes an instance and loads its data; throws when the module, its builtins or its data don't fit. */
export const createInstance = ({ module, memoryPages, dataText, memoryBytesMax, resolveBuiltins, ...writerLimits }: InstanceOptions): PolicyInstance => {
  const maximum = Math.floor(memoryBytesMax / PAGE_BYTES);
  if (memoryPages > maximum) throw new Error(`begins with ${memoryPages * PAGE_BYTES} bytes of memory, more than ${memoryBytesMax}`);
  const memory = new WebAssembly.Memory({ initial: memoryPages, maximum });
  let bytes = Buffer.from(memory.buffer);
  // Growth replaces the buffer and leaves an old view empty.
  const view = (): Buffer => (bytes.length === 0 ? (bytes = Buffer.from(memory.buffer)) : bytes);
  const textAt = (address: number): string => {
    const heap = view();
    const end = heap.indexOf(0, address);
    if (address === 0 || end === -1) throw new Error('the policy gave an address without text');
    return heap.toString('utf8', address, end);
  };

  /** Address of the value that a text means; 0 when it is none. */
  const parse = (text: string): number => {
    const length = Buffer.byteLength(text);
    const address = wasm.opa_malloc(length);
    view().write(text, address, 'utf8');
    return wasm.opa_value_parse(address, length);
  };

  /** One for each evaluation. */
  let builtinContext: BuiltinContext = { now: 0 as Instant };
  let byId: readonly (Builtin | undefined)[] = [];
  const readArgument = (address: number): ReturnType<typeof readRegoValue> => {
    const from = wasm.opa_value_dump(address);
    const text = textAt(from);
    // Rego strings may hold any bytes; a builtin must not see other ones than OPA's would.
    if (text.includes('\ufffd') && !isUtf8(view().subarray(from, view().indexOf(0, from)))) notServed('a string that is not UTF-8, as operand');
    return readRegoValue(text);
  };
  const callBuiltin = (id: number, addresses: readonly number[]): number => {
    const builtin = byId[id];
    if (builtin === undefined) throw new Error(`builtin ${id} is not served`);
    let text: string;
    try {
      const result = builtin(addresses.map(readArgument), builtinContext);
      if (result === undefined) return 0;
      text = writeRegoValue(result);
    } catch (error) {
      // What ran out or is not served must not turn into `undefined`, which `not` makes true; nor may what the module itself threw.
      if (error instanceof NotServed || error instanceof RangeError || error instanceof PolicyAbort || error instanceof WebAssembly.RuntimeError) throw error;
      return 0;
    }
    const parsed = parse(text);
    if (parsed === 0) throw new PolicyAbort('a builtin answered what the module can not read');
    return parsed;
  };

  const instance = new WebAssembly.Instance(module, {
    env: {
      memory,
      opa_abort: (address: number) => {
        throw new PolicyAbort(textAt(address));
      },
      opa_println: () => undefined,
      opa_builtin0: (id: number) => callBuiltin(id, []),
      opa_builtin1: (id: number, _context: number, a: number) => callBuiltin(id, [a]),
      opa_builtin2: (id: number, _context: number, a: number, b: number) => callBuiltin(id, [a, b]),
      opa_builtin3: (id: number, _context: number, a: number, b: number, c: number) => callBuiltin(id, [a, b, c]),
      opa_builtin4: (id: number, _context: number, a: number, b: number, c: number, d: number) => callBuiltin(id, [a, b, c, d]),
    },
  });
  const wasm = policyExports(instance);
  const needed = Object.entries(JSON.parse(textAt(wasm.opa_json_dump(wasm.builtins()))) as Record<string, number>);
  const builtins = resolveBuiltins(needed.map(([name]) => name));
  const table: (Builtin | undefined)[] = [];
  for (const [name, id] of needed) table[id] = builtins.get(name);
  byId = table;

  const loaded = new LoadedPolicy(instance as unknown as WebAssembly.WebAssemblyInstantiatedSource, memory, 2);
  const dataBytes = new TextEncoder().encode(dataText);
  loaded.setData(dataBytes.buffer.slice(dataBytes.byteOffset, dataBytes.byteOffset + dataBytes.byteLength));
  const dataEnd = loaded.dataHeapPtr as number;
  wasm.opa_heap_ptr_set(dataEnd);
  const constants = { null: parse('null'), true: parse('true'), false: parse('false') };
  const writer = createValueWriter({ memory, heapStart: wasm.opa_heap_ptr_get(), reserve: wasm.opa_malloc, constants }, writerLimits);
  const { heapStart } = writer;

  /** Address of the input's text. */
  const place = (inputText: string, length: number): number => {
    wasm.opa_heap_ptr_set(heapStart);
    const input = wasm.opa_malloc(length);
    view().write(inputText, input, 'utf8');
    return input;
  };

  /** Address of the result, whose memory is good until the next evaluation. */
  const evaluateInput = (entrypoint: number, input: number): number => {
    const evaluation = wasm.opa_eval_ctx_new();
    wasm.opa_eval_ctx_set_input(evaluation, input);
    wasm.opa_eval_ctx_set_data(evaluation, loaded.dataAddr);
    wasm.opa_eval_ctx_set_entrypoint(evaluation, entrypoint);
    if (wasm.eval(evaluation) !== 0) throw new PolicyAbort('the evaluation failed');
    return wasm.opa_eval_ctx_get_result(evaluation);
  };

  const writesAsItParses = (): boolean => {
    const written = writer.write(LAYOUT_SAMPLE);
    if (written === undefined) return false;
    wasm.opa_heap_ptr_set(written.end);
    const parsed = parse(JSON.stringify(LAYOUT_SAMPLE));
    return parsed !== 0 && sameValues(memory, written.address, parsed);
  };
  const direct: ValueWriter | undefined = writesAsItParses() ? writer : undefined;

  return {
    entrypoints: new Map(Object.entries(loaded.entrypoints as Record<string, number>)),
    takesValues: direct !== undefined,
    reads(entrypoint, inputText, markers, at) {
      builtinContext = { now: at };
      const length = Buffer.byteLength(inputText);
      const text = place(inputText, length);
      const input = wasm.opa_value_parse(text, length);
      if (input === 0 || !hideMarkers(view(), heapStart, wasm.opa_heap_ptr_get(), markers)) return undefined;
      try {
        wasm.opa_value_dump(evaluateInput(entrypoint, input));
        return false;
      } catch (error) {
        if (isTrap(error)) return true;
        throw error;
      }
    },
    evaluate(entrypoint, input, textOf, at) {
      builtinContext = { now: at };
      const written = direct?.write(input);
      if (written !== undefined) {
        wasm.opa_heap_ptr_set(written.end);
        return textAt(wasm.opa_value_dump(evaluateInput(entrypoint, written.address)));
      }
      const inputText = textOf();
      const length = Buffer.byteLength(inputText);
      const text = place(inputText, length);
      return textAt(wasm.opa_eval(0, entrypoint, loaded.dataAddr, text, length, text + length, VALUE_FORMAT));
    },
    memoryBytes: () => memory.buffer.byteLength,
  };
};

/** The policy ended itself, in OPA's words. */
export class PolicyAbort extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PolicyAbort';
  }
}

const policyExports = (instance: WebAssembly.Instance): PolicyExports => {
  const wasm = instance.exports as unknown as PolicyExports;
  const major: unknown = wasm.opa_wasm_abi_version?.value;
  const minor: unknown = wasm.opa_wasm_abi_minor_version?.value;
  if (major !== 1 || typeof minor !== 'number' || minor < 2) throw new Error(`needs OPA's WASM interface 1.2 or later, not ${String(major)}.${String(minor)}`);
  const missing = EXPORTS.filter((name) => typeof wasm[name] !== 'function');
  if (missing.length > 0) throw new Error(`does not export ${missing.join(', ')}`);
  return wasm;
};
