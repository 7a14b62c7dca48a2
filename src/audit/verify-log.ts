/**
 * Does a decision log hold? Reads whole files, oldest first, follows the chain of every process, and names the first line that is not as it was
 * written, or is missing, or stands in another place.
 *
 * What a log that holds proves: of every chain, decisions 1 to n are there or lie in declared gaps, in their order; lines between two
 * segments are as they were. Lines after the last segment of a chain are proven by nothing yet. A chain that was not closed ends
 * in a gap that it declared itself: its process was killed, or its tail was cut off. Who rewrites a whole chain is found out
 * only by segments that were kept elsewhere (`heads`).
 */
import type { Hash } from 'node:crypto';
import { chainStart, startPart } from './decision-chain.ts';

export interface LogFault {
  /** Counted from 1 over all files. */
  readonly line?: number;
  readonly what: string;
}

/** A chain that is not closed: as many decisions as `missingMax` may have been answered that are not in the log, any number when it is absent. */
export interface OpenChain {
  readonly chain: string;
  readonly pid: number;
  readonly after: number;
  readonly missingMax?: number;
}

/** What somewhere else is known of a chain: after so many decisions its lines had this hash. */
export interface ChainHead {
  readonly chain: string;
  readonly through: number;
  readonly previous: string;
}

export interface LogReport {
  readonly lines: number;
  readonly chains: number;
  readonly decisions: number;
  /** In declared gaps whose size is known. */
  readonly dropped: number;
  readonly open: readonly OpenChain[];
  /** Lines that no segment seals. */
  readonly unsealed: number;
  /** Torn lines, and lines from before there were chains. */
  readonly unlinked: number;
  /** Heads known elsewhere that were met. */
  readonly heads: number;
  readonly fault?: LogFault;
}

interface Chain {
  readonly pid: number;
  through: number;
  to: number;
  ahead: boolean;
  closed: boolean;
  part: Hash;
  segmentLine: number;
  unsealed: number;
}

class Found extends Error {
  readonly fault: LogFault;
  constructor(line: number | undefined, what: string) {
    super(what);
    this.fault = { ...(line === undefined ? {} : { line }), what };
  }
}

/** The end of every line of a chain. */
export const LINK = /,"link":"([0-9a-f]{16}):(\d{1,15})"\}$/;
export const LINK_CHARS_MAX = 48;
const NEWLINE = Buffer.from('\n');
const SEGMENT = Buffer.from('{"version":1,"segment":');
const GAP = Buffer.from('{"version":1,"gap":');
const NOT_EMITTED = Buffer.from('{"version":1,"not_emitted":');

const begins = (line: Buffer, start: Buffer): boolean => line.length > start.length && line.compare(start, 0, start.length, 0, start.length) === 0;

interface SegmentShape {
  readonly segment: { readonly chain?: unknown; readonly pid?: unknown; readonly through?: unknown; readonly to?: unknown; readonly previous?: unknown; readonly ahead?: unknown; readonly closed?: unknown };
}
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const parse = <T>(line: Buffer, number: number): T => {
  try {
    return JSON.parse(line.toString('utf8')) as T;
  } catch {
    throw new Found(number, 'can not be read');
  }
};

export interface VerifyLogOptions {
  /** Chains may begin before the first line, as in a file that was cut when it was rotated. */
  readonly partial?: boolean;
  readonly heads?: readonly ChainHead[];
}

/** Never rejects for what is in the log; reading `lines` may. Lines come without their newline, `undefined` where one is too long. */
export const verifyLog = async (lines: AsyncIterable<readonly (Buffer | undefined)[]> | Iterable<readonly (Buffer | undefined)[]>, options: VerifyLogOptions = {}): Promise<LogReport> => {
  const chains = new Map<string, Chain>();
  const heads = new Map((options.heads ?? []).map((head) => [`${head.chain}:${head.through}:${head.previous}`, head]));
  const counts = { lines: 0, decisions: 0, dropped: 0, unlinked: 0, heads: 0 };

  const takeSegment = (id: string, through: number, line: Buffer, number: number): void => {
    const { chain: named, pid, through: said, to, previous, ahead, closed } = parse<SegmentShape>(line, number).segment;
    if (named !== id || said !== through || !isCount(pid) || !isCount(to) || to < through || typeof previous !== 'string') throw new Found(number, 'is a segment that can not be understood');
    const known = chains.get(id);
    if (known === undefined) {
      if ((previous !== chainStart(id) || through !== 0) && options.partial !== true) throw new Found(number, `goes on with chain ${id} after decision ${through}: what came before is missing`);
    } else {
      if (through !== known.through) throw new Found(number, through > known.through ? `is after decision ${through} of chain ${id}: ${known.through + 1} to ${through} are missing` : 'comes again or out of order');
      if (known.part.digest('hex') !== previous) throw new Found(number, `does not seal what stands between it and line ${known.segmentLine}: lines of chain ${id} there were changed`);
    }
    if (heads.delete(`${id}:${through}:${previous}`)) counts.heads += 1;
    chains.set(id, { pid, through, to, ahead: ahead === true, closed: closed === true, part: startPart(previous), segmentLine: number, unsealed: 0 });
  };

  const takeLine = (line: Buffer, number: number): void => {
    const link = LINK.exec(line.toString('latin1', Math.max(0, line.length - LINK_CHARS_MAX)));
    if (link === null) {
      counts.unlinked += 1;
      return;
    }
    const [, id = '', digits] = link;
    const through = Number(digits);
    const chain = chains.get(id);
    if (chain?.closed === true) throw new Found(number, `comes after the end of chain ${id}`);
    if (begins(line, SEGMENT)) takeSegment(id, through, line, number);
    else if (chain === undefined) {
      if (options.partial !== true) throw new Found(number, `is of chain ${id}, the beginning of which is missing`);
      counts.unlinked += 1;
      return;
    } else {
      const gap = begins(line, GAP) ? parse<{ gap: { dropped?: unknown; chain?: unknown } }>(line, number).gap : undefined;
      const own = gap?.chain === undefined && isCount(gap?.dropped) ? gap.dropped : 0;
      const step = gap !== undefined ? own : begins(line, NOT_EMITTED) ? 0 : 1;
      if (through !== chain.through + step) {
        throw new Found(number, through > chain.through + step ? `is decision ${through} of chain ${id}: ${chain.through + 1} to ${through - step} are missing` : 'comes again or out of order');
      }
      chain.through = through;
      counts.decisions += gap === undefined ? step : 0;
      counts.dropped += own;
    }
    const now = chains.get(id) as Chain;
    now.part.update(line).update(NEWLINE);
    now.unsealed += 1;
  };

  const report = (fault?: LogFault): LogReport => {
    const all = [...chains];
    return {
      ...counts, chains: all.length,
      open: all.flatMap(([chain, { closed, through, to, ahead, pid }]) => (closed || to === 0 ? [] : [{ chain, pid, after: through, ...(ahead ? {} : { missingMax: Math.max(0, to - through) }) }])),
      unsealed: all.reduce((sum, [, { closed, unsealed }]) => sum + (closed ? 0 : unsealed - 1), 0),
      ...(fault === undefined ? {} : { fault }),
    };
  };
  try {
    for await (const some of lines) {
      for (const line of some) {
        counts.lines += 1;
        if (line === undefined) counts.unlinked += 1;
        else if (line.length > 0) takeLine(line, counts.lines);
      }
    }
    for (const head of heads.values()) {
      const chain = chains.get(head.chain);
      if (chain === undefined) throw new Found(undefined, `chain ${head.chain} is missing: ${head.through} decisions of it are known elsewhere`);
      throw new Found(undefined, `another chain ${head.chain} is known elsewhere at decision ${head.through} than is here, or its end was cut off`);
    }
    return report();
  } catch (error) {
    if (error instanceof Found) return report(error.fault);
    throw error;
  }
};
