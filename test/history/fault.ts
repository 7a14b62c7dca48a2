/** What can go wrong in a history. */
import type { Random } from './random.ts';
import { until } from '../support/until.ts';
import type { World } from './world.ts';

export interface Fault {
  readonly name: string;
  /** Longest time that it lasts, in milliseconds. */
  readonly mostMs: number;
  /** Makes it, on one node or on the server; resolves to what ends it. */
  begin(world: World, node: number, random: Random): Promise<() => Promise<void>>;
  /** What was confirmed before is lost, and an operator accepted that. */
  readonly loses?: true;
  /** The node's own notes of the time say nothing from then on. */
  readonly setsClock?: true;
  /** The server's time went wrong: nobody's notes of the time say anything, and the world is not played in again. */
  readonly setsServerClock?: true;
  /** While it lasts, nothing may be allowed from this long after its begin. */
  readonly deniesAfterMs?: number;
}

/** As whatever runs it does: a start that finds no server in time, on a busy machine, is made again. */
export const startAgain = ({ fleet }: World, node: number): Promise<true> => until(`node ${node} to start`, () => fleet.restart(node).then(() => true as const, () => undefined), 120_000);

export const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
