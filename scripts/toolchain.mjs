/**
 * Builds OPA's compiler, tester and evaluator for Node: toolchain/ into .cache/toolchain/ (`npm run toolchain`). Done once:
 * nothing happens while Go's version and the sources stay as they are. `--pack` also writes dist/toolchain/, compressed,
 * which the npm package carries.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const root = dirname(import.meta.dirname);
const source = join(root, 'toolchain');
const built = join(root, '.cache', 'toolchain');
/** What JavaScript starts it by. */
const SCRIPTS = ['worker.mjs'];
const packed = join(root, 'dist', 'toolchain');

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

const go = (args, options = {}) => execFileSync('go', args, { cwd: source, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...options }).trim();

const goVersion = () => {
  try {
    return go(['env', 'GOVERSION']);
  } catch (error) {
    throw new Error('needs Go to build the Rego toolchain: https://go.dev/dl', { cause: error });
  }
};

/** What the build depends on. */
const keyOf = (version) => {
  const key = createHash('sha256').update(version);
  for (const name of readdirSync(source).filter((file) => /\.(?:go|mod|sum|mjs)$/.test(file)).toSorted()) key.update(`\n${name} ${sha256(readFileSync(join(source, name)))}`);
  return key.digest('hex');
};

/** Builds a copy of toolchain/ that lies in `folder`; `env` may give it caches of its own. */
export const buildWasm = (folder, out, env = {}) => {
  go(['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid=', '-o', out, '.'], { cwd: folder, env: { ...process.env, GOOS: 'js', GOARCH: 'wasm', ...env } });
};

/** The folder with the built toolchain; builds it when it is missing or old. */
export const buildToolchain = () => {
  const version = goVersion();
  const key = keyOf(version);
  const keyFile = join(built, 'key');
  if (existsSync(keyFile) && readFileSync(keyFile, 'utf8') === key) return built;
  mkdirSync(built, { recursive: true });
  rmSync(keyFile, { force: true });
  const part = join(built, `opa.${process.pid}.part`);
  try {
    buildWasm(source, part);
    copyFileSync(join(go(['env', 'GOROOT']), 'lib', 'wasm', 'wasm_exec.js'), join(built, 'wasm_exec.js'));
    for (const name of SCRIPTS) copyFileSync(join(source, name), join(built, name));
    renameSync(part, join(built, 'opa.wasm'));
  } finally {
    rmSync(part, { force: true });
  }
  writeFileSync(keyFile, key);
  return built;
};

const pack = () => {
  const wasm = readFileSync(join(built, 'opa.wasm'));
  const digest = [sha256(wasm), ...SCRIPTS.map((name) => sha256(readFileSync(join(built, name))))].join('\n');
  const stamp = join(packed, 'key');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  mkdirSync(packed, { recursive: true });
  for (const name of ['wasm_exec.js', ...SCRIPTS]) copyFileSync(join(built, name), join(packed, name));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: wasm.length };
  writeFileSync(join(packed, 'opa.wasm.br'), brotliCompressSync(wasm, { params }));
  writeFileSync(stamp, digest);
};

if (process.argv[1] === import.meta.filename) {
  const folder = buildToolchain();
  const wasm = readFileSync(join(folder, 'opa.wasm'));
  console.log(`${join(folder, 'opa.wasm')}: ${wasm.length} bytes, sha256 ${sha256(wasm)}`);
  if (process.argv.includes('--pack')) {
    pack();
    console.log(`${join(packed, 'opa.wasm.br')}: ${readFileSync(join(packed, 'opa.wasm.br')).length} bytes`);
  }
}
