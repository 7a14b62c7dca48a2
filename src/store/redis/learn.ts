/**
 * What other processes of a node wrote down about the server is looked for there before anything is asked over a new connection, behind which there may be a server
 * that was put back to before something ended: a process that was not asked anything since has not read it itself.
 *
 * What is found in the file only counts against the server. It never replaces what this process has read: whoever wrote it may have read less.
 */
import type { Remembered } from './witness-file.ts';
import type { Seen, Witness } from './witness.ts';

export interface LearningParts {
  /** What is written down now. Throws where it can't be read. */
  readonly read: () => Remembered | undefined;
  readonly epoch: string;
  /** Another number after every new connection. */
  readonly generation: () => number;
  readonly witness: Pick<Witness, 'compare'>;
  /** What the server has, whatever is known of it, and its hash after so many endings. */
  readonly asked: (realm: string, endings: number) => Promise<{ readonly seen: Seen; readonly hashThen: string }>;
}

export interface Learning {
  /** Before a question; `undefined`: nothing is new since the last time. */
  ready(): Promise<void> | undefined;
  /** Compares once more, and nobody waits for it. */
  again(): void;
}

export const createLearning = ({ read, epoch, generation, witness, asked }: LearningParts): Learning => {
  let compared = Number.NaN;
  let comparing: Promise<void> | undefined;
  const compare = async (): Promise<void> => {
    const of = generation();
    const found = read();
    if (found !== undefined && found.epoch === epoch) {
      await Promise.all([...found.realms].map(async ([realm, mark]) => {
        const { seen, hashThen } = await asked(realm, mark.endings.sequence);
        witness.compare(realm, mark, seen, hashThen);
      }));
    }
    compared = of;
  };
  const begin = (): Promise<void> => (comparing ??= compare().finally(() => { comparing = undefined; }));
  const ready = (): Promise<void> | undefined => (compared === generation() ? undefined : begin().then(ready));
  return { ready, again: () => void begin().catch(() => undefined) };
};
