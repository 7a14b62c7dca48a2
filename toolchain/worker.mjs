/**
 * The toolchain in a thread of its own: takes `{id, request}` and answers `{id, response}`, one after the other; says
 * `{ready}` first. With `workerData: {port, signal}` it does so on that port too, and sets and notifies the signal after each
 * answer there, for a caller who waits.
 */
import { existsSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { brotliDecompressSync } from 'node:zlib';
// Of the Go that built opa.wasm, which lies beside it; as opa.wasm.br in the npm package.
import './wasm_exec.js';

// Whoever compiles can wait; whoever decides, here for a builtin, can't. Only Linux gives threads priorities of their own.
if (workerData?.port === undefined && process.platform === 'linux') {
  try {
    setPriority(Math.min(19, getPriority() + 5));
  } catch {
    // Where that is forbidden it competes like everybody.
  }
}

const file = (name) => new URL(name, import.meta.url);
const binary = () => (existsSync(file('opa.wasm')) ? readFileSync(file('opa.wasm')) : brotliDecompressSync(readFileSync(file('opa.wasm.br'))));

const go = new globalThis.Go();
const { instance } = await WebAssembly.instantiate(binary(), go.importObject);
// Go leaves by this only when it is broken; a message is then an error event of the thread.
go.exit = (code) => {
  throw new Error(`the Rego toolchain ended with code ${code}`);
};
void go.run(instance);

const serve = (port, after) =>
  port.on('message', ({ id, request }) => {
    port.postMessage({ id, response: globalThis.curfewToolchain(request) });
    after();
  });
serve(parentPort, () => undefined);
if (workerData?.port !== undefined) {
  const answered = new Int32Array(workerData.signal);
  serve(workerData.port, () => {
    Atomics.store(answered, 0, 1);
    Atomics.notify(answered, 0);
  });
}
parentPort.postMessage({ ready: true });
