/**
 * How much JavaScript heap a worker has. V8 lets garbage pile up to several times what lives, unless it believes that there is
 * little room: below some hundred megabytes it collects when a third has been added. A small young generation costs a few
 * copies and saves as many megabytes. What an operator says in NODE_OPTIONS or on the command line wins.
 */
import type { Config } from '../config/schema.ts';

const MIB = 2 ** 20;
/** Enough for the defaults several times over, request bodies at their limits included. */
export const HEAP_MEGABYTES = 320;
const YOUNG_MEGABYTES = 5;
/** Measured: 1.1 kB for a token with five claims; most have more. */
const TOKEN_BYTES = 4_000;
const DEFAULTS = { memoBytes: 12 * MIB, tokens: 12_000, policyBytes: 64 * MIB };

/** More where the configuration lets a worker remember more, or hold a larger policy, whose data passes through the heap. */
export const heapMegabytes = ({ store, identity, policy }: Config): number => {
  const memo = store.kind === 'embedded' ? Math.max(0, store.memoBytesMax - DEFAULTS.memoBytes) * 2 : 0;
  const tokens = Math.max(0, identity.rememberedTokensMax - DEFAULTS.tokens) * TOKEN_BYTES * 2;
  const data = Math.max(0, policy.memoryMaxBytes - DEFAULTS.policyBytes) * 4;
  return HEAP_MEGABYTES + Math.ceil((memo + tokens + data) / MIB);
};

export const heapFlags = (megabytes: number): readonly string[] => {
  const given = `${process.env['NODE_OPTIONS'] ?? ''} ${process.execArgv.join(' ')}`.replaceAll('_', '-');
  return ([['--max-old-space-size', megabytes], ['--max-semi-space-size', YOUNG_MEGABYTES]] as const)
    .filter(([name]) => !given.includes(name))
    .map(([name, size]) => `${name}=${size}`);
};
