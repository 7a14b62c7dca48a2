/** Follows the access logs of systems beside the decision log, and tells what was used without an allow or after its end. A line is judged when its decision is known, at the latest after a while. */
import { createRounds, type Rounds } from '../lifecycle/rounds.ts';
import type { AccessLogsConfig } from './config.ts';
import { followFile, type FileFollower } from './follow-file.ts';
import { lineObject } from './line-object.ts';
import { createKnownDecisions, createMatcher, type Finding } from './match-uses.ts';

export interface WatchUsesDeps {
  readonly config: AccessLogsConfig;
  readonly decisions: { readonly path: string; readonly tailBytes: number };
  /** Where it is kept how far an access log was read. */
  readonly markPath: (index: number) => string;
  readonly monotonicMs: () => number;
  /** Alerts once for each cause. */
  readonly tell: (finding: Finding) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const READ_BYTES_MAX = 4_194_304;
const LINES_MAX = 2_000;

export const watchUses = ({ config, decisions, markPath, monotonicMs, tell, onError }: WatchUsesDeps): Rounds & { look(): Promise<void> } => {
  const follow = (path: string, more: { readonly markPath?: string; readonly tailBytes?: number }): FileFollower =>
    followFile({ path, ...more, readBytesMax: READ_BYTES_MAX, linesMax: LINES_MAX, monotonicMs, onTooLong: () => onError(new Error(`a line of ${path} is too long to be matched`)) });
  const decided = follow(decisions.path, { tailBytes: decisions.tailBytes });
  const known = createKnownDecisions();
  const systems = config.systems.map((system, index) => ({
    ...system, follower: follow(system.file, { markPath: markPath(index) }), matcher: createMatcher(system.fields, known),
    /** Lines that were read first then, and are not judged yet. */
    sinceMs: undefined as number | undefined,
  }));

  const readDecisions = async (): Promise<void> => {
    for (let lines = await decided.next(); lines !== undefined; lines = await decided.next()) {
      for (const line of lines.map(lineObject)) {
        if (line === undefined) continue;
        const finding = known.decided(line);
        if (finding !== undefined && config.deniedAfterEnd) await tell(finding);
      }
      await decided.done();
    }
  };
  const readUses = async (system: (typeof systems)[number]): Promise<void> => {
    for (let lines = await system.follower.next(); lines !== undefined; lines = await system.follower.next()) {
      system.sinceMs ??= monotonicMs();
      const last = monotonicMs() - system.sinceMs >= config.graceMs;
      const parsed = lines.map(lineObject);
      // All of them come again until each decision is known.
      if (!last && parsed.some((line) => line !== undefined && system.matcher.waits(line))) return;
      for (const line of parsed) {
        const finding = line === undefined ? undefined : system.matcher.use(system.system, line);
        if (finding !== undefined) await tell({ realm: system.realm, ...finding });
      }
      system.sinceMs = undefined;
      await system.follower.done();
    }
  };

  const look = async (): Promise<void> => {
    await readDecisions();
    for (const system of systems) await readUses(system);
  };
  const rounds = createRounds({ round: look, pauseMs: () => config.everyMs, monotonicMs, onError });
  return {
    look,
    start: rounds.start,
    stop: async () => {
      await rounds.stop();
      await Promise.all([decided.close(), ...systems.map(({ follower }) => follower.close())]);
    },
  };
};
