/** What policy authors' commands, the loader of sources and the conformance run ask of OPA, whatever carries it out. */
import type { JsonObject, JsonValue } from '../../domain/json.ts';

/** Files of a bundle's folder: path relative to its root with `/`, and text. `.rego`, `data.json`, `data.yaml`, `.manifest`. */
export type Sources = Readonly<Record<string, string>>;

export interface CheckOptions {
  /** Also refuse what is allowed but never meant, such as unused variables. Default true. */
  readonly strict?: boolean;
  /** By the name that `schema["name"]` has in annotations. */
  readonly schemas?: Readonly<Record<string, JsonObject>>;
}

export interface CompileOptions {
  readonly entrypoints: readonly string[];
  /** Every package and every rule without arguments too. */
  readonly everyRule?: boolean;
  /** Keep the `_test.rego` files. */
  readonly tests?: boolean;
}

export interface TestOptions {
  readonly coverage?: boolean;
  /** With the trace of each failed test; not together with coverage. */
  readonly trace?: boolean;
  /** Regular expression over the full name. */
  readonly run?: string;
  /** For all tests together. */
  readonly timeoutMs?: number;
}

export type TestOutcome = 'passed' | 'failed' | 'error' | 'skipped';

export interface PolicyTest {
  readonly package: string;
  readonly name: string;
  /** The rule as an entrypoint is written. */
  readonly path: string;
  readonly file: string;
  readonly row: number;
  readonly col: number;
  readonly outcome: TestOutcome;
  /** Of an error. */
  readonly message?: string;
  /** What it printed. */
  readonly output?: string;
  readonly trace?: string;
  /** Names of the cases, of a test that has cases; nested ones joined with `/`. */
  readonly passed?: readonly string[];
  readonly failed?: readonly string[];
  readonly durationMs: number;
}

export interface CoverageRange {
  readonly start: { readonly row: number; readonly col?: number };
  readonly end: { readonly row: number; readonly col?: number };
}

export interface Coverage {
  /** Per cent of lines. */
  readonly coverage: number;
  readonly files: Readonly<Record<string, { readonly coverage?: number; readonly not_covered?: readonly CoverageRange[] }>>;
}

export interface TestReport {
  readonly tests: readonly PolicyTest[];
  readonly coverage?: Coverage;
}

export type Explanation = 'debug' | 'fails' | 'full' | 'notes';

export interface EvaluateOptions {
  /** Rego, such as `data.curfew.access.decision`. */
  readonly query: string;
  readonly input?: JsonValue;
  readonly explain?: Explanation;
  /** With `explain`: also the trace as OPA's server writes it, of a bounded number of events; only the built toolchain has it. */
  readonly events?: 'raw' | 'pretty';
  /** What `time.now_ns` answers, in milliseconds since 1970. */
  readonly nowMs?: number;
  readonly timeoutMs?: number;
}

export interface EvaluateResult {
  /** Absent when undefined. */
  readonly result?: JsonValue;
  readonly printed: string;
  readonly trace?: string;
  /** In place of `trace`, where `events` were asked for. */
  readonly explanation?: JsonValue;
}

/** Rejects with `SourcesRefused` for what is wrong with the sources, `ToolchainMissing` when it can't do the work. */
export interface Toolchain {
  /** Changes when the built file does. */
  readonly build?: string;
  readonly description: string;
  readonly check: (sources: Sources, options?: CheckOptions) => Promise<void>;
  /** One file, formatted. */
  readonly format: (file: string, text: string) => Promise<string>;
  /** OPA's own archive, as `opa build -b -t wasm` writes it. */
  readonly compile: (sources: Sources, options: CompileOptions) => Promise<Uint8Array>;
  readonly test: (sources: Sources, options?: TestOptions) => Promise<TestReport>;
  readonly evaluate: (sources: Sources, options: EvaluateOptions) => Promise<EvaluateResult>;
  /** Operands and result as Rego text (see rego/value.ts); `undefined` when the call is undefined in Rego. */
  readonly builtin: (name: string, operands: readonly string[], nowMs?: number) => Promise<string | undefined>;
  /** The module of a query over modules, with the one entrypoint `eval`; for OPA's conformance cases. */
  readonly compileQuery: (query: string, modules: readonly string[], experimental?: boolean) => Promise<Uint8Array>;
  /** YAML as OPA reads it, as JSON text. */
  readonly yaml: (text: string) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** The longest that one call may take: a policy can be endless. */
export const TIMEOUT_MS = 60_000;
