/**
 * What a node knows of the server, kept across restarts in a file of its own: how far each realm had come, with the hash of its
 * endings. Written whole or not at all. What this node ended is in it before anybody is told; what others ended, it lacks for some seconds, and running nodes know.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { StoreUnavailable } from '../port.ts';
import { writeWhole } from '../write-whole.ts';
import type { Seen } from './witness.ts';

const FORMAT = 1;
const sequence = z.int().min(0);
const shape = z.strictObject({
  format: z.literal(FORMAT),
  epoch: z.string(),
  realms: z.array(z.strictObject({ realm: z.string(), sequence, endings: z.strictObject({ sequence, hash: z.string().regex(/^[0-9a-f]{64}$/) }) })),
});

export interface Remembered {
  readonly epoch: string;
  readonly realms: ReadonlyMap<string, Seen>;
}

export const readWitnessFile = (path: string): Remembered | undefined => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StoreUnavailable(`${path} can not be read: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
  try {
    const { epoch, realms } = shape.parse(JSON.parse(text));
    return { epoch, realms: new Map(realms.map(({ realm, ...seen }) => [realm, seen])) };
  } catch (cause) {
    throw new StoreUnavailable(`${path} is damaged: it says what this node knew of the server. Delete it if the server is known to be the right one`, { cause });
  }
};

/** `flush`: as of `writeWhole`. */
export const writeWitnessFile = (path: string, { epoch, realms }: Remembered, flush = true): void => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const listed = [...realms].map(([realm, { sequence: reached, endings }]) => ({ realm, sequence: reached, endings }));
  writeWhole(path, `${JSON.stringify({ format: FORMAT, epoch, realms: listed })}\n`, flush);
};
