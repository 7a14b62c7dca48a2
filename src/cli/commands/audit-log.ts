/** `curfew audit verify --decisions`: do files of the decision log hold? */
import { createReadStream } from 'node:fs';
import { byteLines } from '../../audit/byte-lines.ts';
import { LINE_BYTES_MAX } from '../../audit/read-log.ts';
import { verifyLog, type ChainHead, type LogReport } from '../../audit/verify-log.ts';
import { Failed } from '../api-client.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../print.ts';

const CHUNK_BYTES = 1_048_576;
const OPEN_SHOWN = 20;

async function* linesOf(files: readonly string[]): AsyncGenerator<readonly (Buffer | undefined)[]> {
  for (const file of files) {
    const stream = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: CHUNK_BYTES });
    try {
      yield* byteLines(stream as AsyncIterable<Buffer>, LINE_BYTES_MAX);
    } catch (error) {
      throw new Failed(EXIT.unavailable, `${file} can not be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    }
  }
}

/** Rejects with what to say when a file can't be read. */
export const verifyDecisions = (files: readonly string[], partial: boolean, heads: readonly ChainHead[]): Promise<LogReport> => verifyLog(linesOf(files), { partial, heads });

export const logReportText = ({ lines, chains, decisions, dropped, open, unsealed, unlinked, heads, fault }: LogReport, asked: number): string => {
  if (fault !== undefined) return `The decision log does NOT hold: ${fault.line === undefined ? '' : `line ${fault.line} `}${plain(fault.what)}.\n${lines} lines were read.\n`;
  const missing = open.reduce((sum, { missingMax }) => sum + missingMax, 0);
  return [
    `The decision log holds: ${decisions} decisions in ${chains} chains, ${lines} lines.`,
    `declared gaps: ${dropped} decisions${open.length === 0 ? '' : `, and ${missing} at most at the ends of ${open.length} chains that were not closed`}`,
    ...open.slice(0, OPEN_SHOWN).map(({ chain, pid, after, missingMax }) => `  ${chain} (process ${pid}) is open after decision ${after}: it runs, or was killed; ${missingMax} at most are missing`),
    `not sealed yet: ${unsealed} lines${unlinked === 0 ? '' : `; torn or of no chain: ${unlinked} lines`}`,
    asked === 0 ? 'A chain that was left out or written anew as a whole is not seen without what the record knows.' : `the record knows ${asked} heads of chains; ${heads} were met`,
    '',
  ].join('\n');
};
