/**
 * The longest limits of a node whose store is its own, across restarts: what an enforcement point keeps from before a restart is usable for as long as it was told then, and who ends access
 * waits for it. On Redis the store itself says by which limits anybody decides ([ADR 0041](../../docs/adr/0041-nodes-say-by-which-limits-they-decide.md)).
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Longest } from '../store/longest.ts';
import { writeWhole } from '../store/write-whole.ts';
import { longestLimits } from './longest-limits.ts';
import type { Config } from './schema.ts';

type Limits = Pick<Config['limits'], 'maxFactsAgeMs' | 'pepCacheMaxMs'>;

export interface KeptLimits {
  /** Changes: longer with `note`, and shorter once nothing can be in use any more from before the start. */
  readonly longest: Longest;
  /** Before anybody decides by them. Throws where they can't be written down. */
  note(limits: Limits): void;
  close(): void;
}

const written = z.strictObject({ factsAgeMs: z.int().min(0), pepCacheMs: z.int().min(0) });

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const read = (path: string): Longest | undefined => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const found = written.safeParse(parsed(text));
  if (!found.success) throw new Error(`${path} does not say how long answers from before this start may be in use: remove it when nothing can be (limits.pepCacheMaxMs after the last answer)`);
  return found.data;
};

/** Throws for a file that can't be read or written, or is damaged: how long to wait is then not known. */
export const keepLimits = (path: string, limits: Limits): KeptLimits => {
  const before = read(path);
  let since = longestLimits(limits);
  const longest = { ...longestLimits(limits, before) };
  let kept = '';
  const write = (): void => {
    const text = `${JSON.stringify(longest)}\n`;
    if (text === kept) return;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeWhole(path, text);
    kept = text;
  };
  write();
  const forget = (): void => {
    Object.assign(longest, since);
    try {
      write();
    } catch {
      // The next start waits longer than it has to.
    }
  };
  const timer = before === undefined ? undefined : setTimeout(forget, before.factsAgeMs + before.pepCacheMs);
  timer?.unref();
  return {
    longest,
    note: (changed) => {
      since = longestLimits(changed, since);
      Object.assign(longest, longestLimits(changed, longest));
      write();
    },
    close: () => clearTimeout(timer),
  };
};
