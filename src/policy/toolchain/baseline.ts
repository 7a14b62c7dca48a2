/**
 * The toolchain is 40 MB of WebAssembly that works for a second: what V8's optimizing compiler makes of it comes too late, and
 * costs four times the work itself (measured on two cores: a test run of 0.9 s of processor time instead of 4). So while it works, V8
 * compiles WebAssembly with its baseline compiler alone. The switch is the whole process's; it is put back as soon as the
 * toolchain is idle, so that policies which are loaded then are optimized as ever. Makes nothing right or wrong, only fast.
 */
import { setFlagsFromString } from 'node:v8';

const FLAGS = ['wasm-tier-up', 'wasm-dynamic-tiering'];
let holders = 0;

const set = (prefix: '--' | '--no-'): void => {
  for (const flag of FLAGS) setFlagsFromString(`${prefix}${flag}`);
};

/** Until the function it gives back is called. */
export const holdBaseline = (): (() => void) => {
  if (holders === 0) set('--no-');
  holders += 1;
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    holders -= 1;
    if (holders === 0) set('--');
  };
};
