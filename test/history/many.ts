/** Plays histories one after another in one world; a failing one is kept with its seed, and says how to play it again. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../parts.ts';
import { violations } from './check.ts';
import { faultNamed } from './faults.ts';
import type { History } from './history.ts';
import { play } from './play.ts';
import { startWorld, type World, type WorldKind } from './world.ts';

const HISTORIES = join(repositoryRoot, '.cache/histories');
const SEEDS = 2 ** 31;
/** In every fifth history of the embedded store many questions come at once. */
const [LINES_EVERY, LINES] = [5, 8];

export const anySeed = (): number => Math.floor(Math.random() * SEEDS);

const keep = (history: History, found: readonly string[]): string => {
  mkdirSync(HISTORIES, { recursive: true });
  const path = join(HISTORIES, `${history.world}-${history.seed}.json`);
  writeFileSync(path, `${JSON.stringify({ violations: found, ...history }, undefined, 1)}\n`);
  return path;
};

export interface Tally {
  readonly played: number;
  readonly asks: number;
  readonly allows: number;
  /** Endings that were confirmed. */
  readonly endings: number;
  readonly failures: readonly string[];
}

export interface PlayMore {
  /** Name of the only fault that is played. */
  readonly fault?: string | undefined;
  /** What ends access comes while something is wrong. */
  readonly promptly?: boolean;
}

/** Stops at the third failure. Every history says one line. */
export const playMany = async (kind: WorldKind, firstSeed: number, count: number, say: (line: string) => void, more: PlayMore = {}): Promise<Tally> => {
  const failures: string[] = [];
  let [played, asks, allows, endings] = [0, 0, 0, 0];
  let world: World | undefined;
  try {
    for (let index = 0; index < count && failures.length < 3; index += 1) {
      world ??= await startWorld(kind);
      const seed = firstSeed + index;
      const started = performance.now();
      let history: History;
      try {
        history = await play(world, seed, { promptly: more.promptly === true, lines: kind === 'embedded' && seed % LINES_EVERY === 0 ? LINES : 0, ...(more.fault === undefined ? {} : { fault: faultNamed(world, more.fault) }) });
      } catch (error) {
        failures.push(`${kind}, seed ${seed}: ${(error as Error).message}`);
        await world.close();
        world = undefined;
        continue;
      }
      if (faultNamed(world, history.fault).setsServerClock === true) {
        await world.close();
        world = undefined;
      }
      const found = violations(history);
      const allowed = history.asks.filter(({ status }) => status === 200).length;
      const ended = history.commands.filter(({ what, outcome }) => what !== 'issue' && what !== 'approve' && outcome === 'done').length;
      played += 1;
      asks += history.asks.length;
      allows += allowed;
      endings += ended;
      say(`${kind} ${seed}: ${history.fault}; ${history.asks.length} asked, ${allowed} allowed, ${ended} endings, ${(performance.now() - started).toFixed(0)} ms${found.length > 0 ? `; ${found.length} VIOLATIONS` : ''}`);
      if (found.length === 0) continue;
      failures.push([
        `${kind}, seed ${seed}, ${history.fault}:`, ...found.slice(0, 5).map((line) => `  ${line}`), ...(found.length > 5 ? [`  and ${found.length - 5} more`] : []),
        ...(history.denied ?? []).map(({ node, reason, count, last }) => `  node ${node} denied ${count} x ${reason}, the last ${(last - (history.healed?.at ?? 0)).toFixed(0)} ms after the end of the fault`),
        `  kept in ${keep(history, found)}; again: npm run test:faults -- --world ${kind} --seed ${seed} --histories 1${more.fault === undefined ? '' : ` --fault '${more.fault}'`}`,
      ].join('\n'));
    }
  } finally {
    await world?.close();
  }
  return { played, asks, allows, endings, failures };
};
