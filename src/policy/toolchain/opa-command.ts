/**
 * The user's own `opa` in place of the built toolchain. It checks, formats, compiles, tests and evaluates over files in a
 * folder of its own; it calls no builtins and compiles no queries.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SourcesRefused, ToolchainMissing, type ToolchainFault } from './fault.ts';
import { TIMEOUT_MS, type Coverage, type PolicyTest, type Sources, type Toolchain } from './toolchain.ts';

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const COMMAND_MS_MAX = 120_000;

interface Ran {
  readonly failed: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

interface OpaError {
  readonly message: string;
  readonly code?: string;
  readonly location?: { readonly file: string; readonly row: number; readonly col: number };
}

const faultOf = ({ message, code = 'opa_error', location }: OpaError): ToolchainFault => ({
  code,
  message,
  ...(location === undefined ? {} : { file: location.file, row: location.row, col: location.col }),
});

/** What a failed command wrote, as faults. */
const refusal = ({ stdout, stderr }: Ran): SourcesRefused => {
  for (const text of [stderr, stdout]) {
    try {
      const { errors } = JSON.parse(text) as { errors?: readonly OpaError[] };
      if (errors !== undefined) return new SourcesRefused(errors.map(faultOf));
    } catch {
      // Not every command knows --format json.
    }
  }
  const lines = (stderr || stdout).trim().split('\n');
  const placed = lines.flatMap((line, index) => {
    const [, file, row, code, message] = /(?:^|\s)([^\s:]+\.rego):(\d+): (\w+): (.*)$/.exec(line) ?? [];
    // OPA shows the line of the source and, below it, a mark; both behind a tab.
    const mark = /^\t(\s*)\^/.exec(lines[index + 2] ?? '')?.[1] ?? '';
    return file === undefined ? [] : [{ code: code ?? 'opa_error', message: message ?? '', file, row: Number(row), col: mark.length + 1 }];
  });
  return new SourcesRefused(placed.length > 0 ? placed : [{ code: 'opa_error', message: lines.join('\n') }]);
};

interface OpaTest {
  readonly location?: { readonly file: string; readonly row: number; readonly col: number };
  readonly package: string;
  readonly name: string;
  readonly duration: number;
  readonly fail?: boolean;
  readonly skip?: boolean;
  readonly error?: { readonly message?: string };
  readonly output?: string;
}

const testOf = ({ location, package: name, name: rule, duration, fail, skip, error, output }: OpaTest): PolicyTest => ({
  package: name,
  name: rule,
  path: `${name.replace(/^data\./, '').replaceAll('.', '/')}/${rule}`,
  file: location?.file ?? '',
  row: location?.row ?? 0,
  col: location?.col ?? 0,
  outcome: skip === true ? 'skipped' : error !== undefined ? 'error' : fail === true ? 'failed' : 'passed',
  durationMs: duration / 1e6,
  ...(error?.message === undefined ? {} : { message: error.message }),
  ...(output === undefined ? {} : { output: Buffer.from(output, 'base64').toString('utf8') }),
});

export const openCommand = (command: string, version: string): Toolchain => {
  const run = (args: readonly string[], cwd: string): Promise<Ran> =>
    new Promise((resolve, reject) => {
      execFile(command, args, { cwd, maxBuffer: OUTPUT_BYTES_MAX, timeout: COMMAND_MS_MAX }, (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') reject(new ToolchainMissing(`${command} can not be run: ${error.message}`, { cause: error }));
        else resolve({ failed: error !== null, stdout, stderr });
      });
    });

  /** Sources in `source/`, beside which a command may write. */
  const inFolder = async <T>(sources: Sources, work: (folder: string, opa: (args: readonly string[]) => Promise<Ran>) => Promise<T>): Promise<T> => {
    const folder = await mkdtemp(join(tmpdir(), 'curfew-opa-'));
    const source = join(folder, 'source');
    try {
      for (const [name, text] of Object.entries(sources)) {
        await mkdir(dirname(join(source, name)), { recursive: true });
        await writeFile(join(source, name), text);
      }
      return await work(folder, (args) => run(args, source));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
  const needsBuilt = (what: string): Promise<never> => Promise.reject(new ToolchainMissing(`${what} needs the built Rego toolchain: npm run toolchain`));

  return {
    description: `opa ${version} on PATH`,
    check: (sources, { strict = true, schemas = {} } = {}) =>
      inFolder(sources, async (folder, opa) => {
        await mkdir(join(folder, 'schemas'));
        for (const [name, schema] of Object.entries(schemas)) await writeFile(join(folder, 'schemas', `${name}.json`), JSON.stringify(schema));
        const ran = await opa(['check', '--format', 'json', '--bundle', ...(strict ? ['--strict'] : []), '--schema', join(folder, 'schemas'), '.']);
        if (ran.failed) throw refusal(ran);
      }),
    format: (file, text) =>
      inFolder({ [file]: text }, async (_, opa) => {
        const ran = await opa(['fmt', file]);
        if (ran.failed) throw refusal(ran);
        return ran.stdout;
      }),
    compile: (sources, { entrypoints, everyRule = false, tests = false }) =>
      everyRule
        ? needsBuilt('to compile every rule')
        : inFolder(sources, async (folder, opa) => {
            const out = join(folder, 'bundle.tar.gz');
            const ran = await opa(['build', '-t', 'wasm', ...entrypoints.flatMap((name) => ['-e', name]), ...(tests ? [] : ['--ignore', '*_test.rego']), '-o', out, '-b', '.']);
            if (ran.failed) throw refusal(ran);
            return readFile(out);
          }),
    test: (sources, { coverage = false, run: filter = '', timeoutMs = TIMEOUT_MS } = {}) =>
      inFolder(sources, async (_, opa) => {
        const args = ['test', '--bundle', '--format', 'json', '--timeout', `${timeoutMs}ms`, ...(filter === '' ? [] : ['--run', filter])];
        const ran = await opa([...args, '.']);
        if (!ran.stdout.trim().startsWith('[')) throw refusal(ran);
        const tests = (JSON.parse(ran.stdout) as readonly OpaTest[]).map(testOf);
        if (!coverage) return { tests };
        const covered = await opa([...args, '--coverage', '.']);
        return { tests, ...(covered.failed ? {} : { coverage: JSON.parse(covered.stdout) as Coverage }) };
      }),
    evaluate: (sources, { query, input, explain, timeoutMs = TIMEOUT_MS }) =>
      inFolder(sources, async (folder, opa) => {
        await writeFile(join(folder, 'input.json'), JSON.stringify(input ?? null));
        const args = ['eval', '--bundle', '.', '--timeout', `${timeoutMs}ms`, ...(input === undefined ? [] : ['--input', join(folder, 'input.json')]), query];
        const ran = await opa([...args, '--format', 'json']);
        if (ran.failed) throw refusal(ran);
        const { result } = JSON.parse(ran.stdout) as { result?: readonly { expressions: readonly { value: never }[] }[] };
        const value = result?.[0]?.expressions[0]?.value;
        const trace = explain === undefined ? undefined : (await opa([...args, '--format', 'pretty', '--explain', explain])).stdout;
        return { printed: ran.stderr, ...(value === undefined ? {} : { result: value }), ...(trace === undefined ? {} : { trace }) };
      }),
    builtin: (name) => needsBuilt(`calling ${name}`),
    compileQuery: () => needsBuilt('to compile a query'),
    yaml: () => needsBuilt('to read YAML'),
    close: () => Promise.resolve(),
  };
};
