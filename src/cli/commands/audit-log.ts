/** `curfew audit verify --decisions`: do files of the decision log hold? */
import { createReadStream } from 'node:fs';
import { byteLines } from '../../audit/byte-lines.ts';
import { LINE_BYTES_MAX } from '../../audit/read-log.ts';
import { lineObject } from '../../audit/line-object.ts';
import { verifyLog, type ChainHead, type LogReport } from '../../audit/verify-log.ts';
import { isJsonObject } from '../../domain/json.ts';
import { Failed } from '../api-client.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../print.ts';

const CHUNK_BYTES = 1_048_576;
const OPEN_SHOWN = 20;

/** Lines of files, `-` being standard input; `undefined` for one that is too long. Rejects with what to say. */
export async function* linesOf(files: readonly string[]): AsyncGenerator<readonly (Buffer | undefined)[]> {
  for (const file of files) {
    const stream = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: CHUNK_BYTES });
    try {
      yield* byteLines(stream as AsyncIterable<Buffer>, LINE_BYTES_MAX);
    } catch (error) {
      throw new Failed(EXIT.unavailable, `${file} can not be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    }
  }
}

/** The segments in files that were kept elsewhere, such as an earlier copy of the log. */
const headsIn = async (files: readonly string[]): Promise<readonly ChainHead[]> => {
  const heads: ChainHead[] = [];
  for await (const lines of linesOf(files)) {
    for (const line of lines) {
      const segment = line?.includes('"segment"') === true ? lineObject(line)?.['segment'] : undefined;
      if (!isJsonObject(segment)) continue;
      const { chain, through, previous } = segment;
      if (typeof chain === 'string' && typeof through === 'number' && typeof previous === 'string') heads.push({ chain, through, previous });
    }
  }
  return heads;
};

/** Rejects with what to say when a file can't be read. */
export const verifyDecisions = async (files: readonly string[], partial: boolean, known: readonly string[]): Promise<{ readonly report: LogReport; readonly known: number }> => {
  const heads = await headsIn(known);
  return { report: await verifyLog(linesOf(files), { partial, heads }), known: heads.length };
};

export const logReportText = ({ lines, chains, decisions, dropped, open, unsealed, unlinked, heads, fault }: LogReport, asked: number): string => {
  if (fault !== undefined) return `The decision log does NOT hold: ${fault.line === undefined ? '' : `line ${fault.line} `}${plain(fault.what)}.\n${lines} lines were read.\n`;
  const missing = open.reduce((sum, { missingMax = 0 }) => sum + missingMax, 0);
  const unbounded = open.filter(({ missingMax }) => missingMax === undefined).length;
  const atEnds = unbounded === open.length ? 'an unknown number' : `${missing} at most${unbounded === 0 ? '' : `, and of ${unbounded} an unknown number,`}`;
  return [
    `The decision log holds: ${decisions} decisions in ${chains} chains, ${lines} lines.`,
    `declared gaps: ${dropped} decisions${open.length === 0 ? '' : `, and ${atEnds} at the ends of ${open.length} chains that were not closed`}`,
    ...open.slice(0, OPEN_SHOWN).map(({ chain, pid, after, missingMax }) => `  ${chain} (process ${pid}) is open after decision ${after}: it runs, or was killed; ${missingMax === undefined ? 'how many are missing is not known (its decisions did not wait for the log)' : `${missingMax} at most are missing`}`),
    `not sealed yet: ${unsealed} lines${unlinked === 0 ? '' : `; torn or of no chain: ${unlinked} lines`}`,
    asked === 0 ? 'A chain that was left out, cut off or written anew as a whole is not seen without --known.' : `segments kept elsewhere: ${asked}; ${heads} were met`,
    '',
  ].join('\n');
};
