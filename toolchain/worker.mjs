/**
 * Runs the toolchain in a thread of its own, so that no compile stands in the way of anything else. It lies beside what it
 * starts: wasm_exec.js of the Go that built it, and opa.wasm, or opa.wasm.br in the npm package.
 * Takes `{request}` and answers `{response}`, both texts of JSON, one after the other; says `{ready}` first.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { brotliDecompressSync } from 'node:zlib';
import './wasm_exec.js';

const file = (name) => new URL(name, import.meta.url);
const binary = () => (existsSync(file('opa.wasm')) ? readFileSync(file('opa.wasm')) : brotliDecompressSync(readFileSync(file('opa.wasm.br'))));

const go = new globalThis.Go();
const { instance } = await WebAssembly.instantiate(binary(), go.importObject);
// Go leaves by this only when it is broken; a message is then an error event of the thread.
go.exit = (code) => {
  throw new Error(`the Rego toolchain ended with code ${code}`);
};
void go.run(instance);

parentPort.on('message', ({ request }) => parentPort.postMessage({ response: globalThis.curfewToolchain(request) }));
parentPort.postMessage({ ready: true });
