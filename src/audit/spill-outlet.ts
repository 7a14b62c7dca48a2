/**
 * An outlet that goes on when the one behind it is slow or fails: lines then go to a spill file, and from there on, in order, once it
 * takes them again. A line is handed to one of the two only: while anything is in the file, everything goes there. Beyond
 * the bound of the file `write` rejects, as that of a full disk does, and what waits is the sink's to bound and to count.
 */
import type { Outlet } from './outlet.ts';
import { drain, openSpillFile, type SpillFile } from './spill-file.ts';

export const SLOW_MS = 100;

export interface SpillOutletOptions {
  readonly outlet: Outlet;
  readonly path: string;
  readonly bytesMax: number;
  readonly writeBytesMax: number;
  /** A write that takes longer is one that the outlet can't take now. */
  readonly slowMs?: number;
  readonly onFailure: (error: unknown) => void;
}

type Taken = { readonly size: number } | { readonly error: unknown };

export const createSpillOutlet = ({ outlet, path, bytesMax, writeBytesMax, slowMs = SLOW_MS, onFailure }: SpillOutletOptions): Outlet => {
  let spill: SpillFile | undefined;

  /** From here on everything goes to the file, beginning with these bytes. Rejects, and nothing has changed, when it can't be had. */
  const begin = async (bytes: Buffer, taken?: Promise<number>): Promise<void> => {
    const file = openSpillFile(path, bytesMax);
    try {
      await file.append(bytes);
    } catch (error) {
      file.remove();
      throw error;
    }
    spill = file;
    const onEmpty = (): void => {
      spill = undefined;
      try {
        file.remove();
      } catch (error) {
        onFailure(error);
      }
    };
    void drain({ file, outlet, writeBytesMax, begun: taken && { bytes, taken }, onFailure, onEmpty });
  };

  return {
    write: async (lines) => {
      if (spill !== undefined) {
        await spill.append(lines);
        return lines.length;
      }
      // The caller's buffer is used again once this resolves, which may be before the write does.
      const bytes = Buffer.from(lines);
      const taking = outlet.write(bytes);
      let timer: NodeJS.Timeout | undefined;
      const outcome = await Promise.race<Taken | undefined>([
        taking.then((size) => ({ size }), (error: unknown) => ({ error })),
        new Promise((resolve) => { timer = setTimeout(resolve, slowMs, undefined); }),
      ]);
      clearTimeout(timer);
      if (outcome !== undefined && 'size' in outcome) return outcome.size;
      onFailure(outcome?.error ?? new Error('the decision log takes nothing now; records go to the spill file'));
      try {
        await begin(bytes, outcome === undefined ? taking : undefined);
      } catch (error) {
        onFailure(error);
        return taking;
      }
      return bytes.length;
    },
    writeNow: (bytes) => {
      if (spill === undefined) return outlet.writeNow(bytes);
      spill.appendNow(bytes);
      return bytes.length;
    },
    spilled: () => spill?.waiting ?? 0,
    sync: () => (spill === undefined ? outlet.sync() : spill.sync()),
  };
};
