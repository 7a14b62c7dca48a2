/** The toolchain that `npm run toolchain` builds, in its thread. */
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { JsonObject } from '../../domain/json.ts';
import { OPA_VERSION } from './locate.ts';
import { startThread } from './thread.ts';
import { TIMEOUT_MS, type EvaluateResult, type TestReport, type Toolchain } from './toolchain.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

/** Nanoseconds as digits: they are beyond what a double holds. */
const nanoseconds = (ms: number | undefined): JsonObject => (ms === undefined ? {} : { nowNs: `${ms}000000`.replace(/^0+(?=\d)/, '') });

const buildOf = (worker: string): string =>
  ['opa.wasm', 'opa.wasm.br', 'worker.mjs'].map((name) => statSync(join(dirname(worker), name), { throwIfNoEntry: false })).map((file) => (file === undefined ? '' : `${file.size}/${file.mtimeMs}`)).join(' ');

export const openBuilt = (worker: string): Toolchain => {
  const { call, close } = startThread(worker);
  return {
    build: buildOf(worker),
    description: `OPA ${OPA_VERSION}, built for Node`,
    check: async (files, { strict = true, schemas = {} } = {}) => void (await call('check', { files, strict, schemas })),
    format: async (file, text) => ((await call('format', { file, text })) as { text: string }).text,
    compile: async (files, { entrypoints, everyRule = false, tests = false }) => {
      const { archive } = (await call('compile', { files, entrypoints, everyRule, tests })) as { archive: string };
      return bytes(archive);
    },
    test: async (files, { coverage = false, trace = false, run = '', timeoutMs = TIMEOUT_MS } = {}) =>
      (await call('test', { files, coverage, trace, run }, timeoutMs)) as unknown as TestReport,
    evaluate: async (files, { query, input, explain = '' as const, events, nowMs, timeoutMs = TIMEOUT_MS }) =>
      (await call('evaluate', { files, query, explain, events: events !== undefined, pretty: events === 'pretty', ...(input === undefined ? {} : { input }), ...nanoseconds(nowMs) }, timeoutMs)) as unknown as EvaluateResult,
    builtin: async (name, operands, nowMs) => ((await call('builtin', { name, operands, ...nanoseconds(nowMs) })) as { result?: string }).result,
    compileQuery: async (query, modules, experimental = false) => bytes(((await call('query', { query, modules, experimental })) as { wasm: string }).wasm),
    yaml: async (text) => (await call('yaml', { text })) as string,
    close,
  };
};
