/** `curfew audit match`: access logs of a system, held against files of the decision log, without a running Curfew. */
import type { Command } from 'commander';
import { lineObject } from '../../audit/line-object.ts';
import { createKnownDecisions, createMatcher, type Finding, type UseFields } from '../../audit/match-uses.ts';
import type { JsonObject } from '../../domain/json.ts';
import { show, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../print.ts';
import { linesOf } from './audit-log.ts';

export interface MatchOptions {
  readonly decisions: readonly string[];
  readonly accessLog: readonly string[];
  readonly system: string;
  readonly fields: UseFields;
  /** Attempts that were denied because access had ended are findings as well, one a grant. */
  readonly deniedAfterEnd: boolean;
}

export interface MatchReport {
  readonly decisions: number;
  readonly uses: number;
  /** Lines of the access log that are no JSON object. */
  readonly unread: number;
  readonly findings: readonly Finding[];
  /** There are more findings than are listed. */
  readonly truncated: boolean;
}

/** More decisions than a running node keeps, since files are read once: some 300 bytes each. */
const DECISIONS_MAX = 2_000_000;
const FINDINGS_MAX = 10_000;

/** Rejects with what to say when a file can't be read. */
export const matchUses = async ({ decisions, accessLog, system, fields, deniedAfterEnd }: MatchOptions): Promise<MatchReport> => {
  const known = createKnownDecisions(DECISIONS_MAX);
  const matcher = createMatcher(fields, known, DECISIONS_MAX);
  const causes = new Set<string>();
  const findings: Finding[] = [];
  const counts = { decisions: 0, uses: 0, unread: 0, found: 0 };
  const tell = (finding: Finding | undefined): void => {
    if (finding === undefined || causes.has(finding.cause)) return;
    counts.found += 1;
    if (findings.length === FINDINGS_MAX) return;
    causes.add(finding.cause);
    findings.push(finding);
  };
  for await (const lines of linesOf(decisions)) {
    for (const line of lines) {
      const read = line === undefined ? undefined : lineObject(line);
      if (read === undefined || typeof read['id'] !== 'string') continue;
      counts.decisions += 1;
      const finding = known.decided(read);
      if (deniedAfterEnd) tell(finding);
    }
  }
  for await (const lines of linesOf(accessLog)) {
    for (const line of lines) {
      if (line?.length === 0) continue;
      const read = line === undefined ? undefined : lineObject(line);
      if (read === undefined) counts.unread += 1;
      else {
        counts.uses += 1;
        tell(matcher.use(system, read));
      }
    }
  }
  const { found, ...rest } = counts;
  return { ...rest, findings, truncated: found > findings.length };
};

export const matchText = ({ decisions, uses, unread, findings, truncated }: MatchReport): string => [
  ...findings.map(({ type, cause, data }) => `${type}  ${plain(cause)}  ${plain(typeof data['what'] === 'string' ? data['what'] : '')}`),
  `${uses} lines of access held against ${decisions} decisions: ${findings.length}${truncated ? ' and more' : ''} findings${unread === 0 ? '' : `; ${unread} lines are no JSON objects and were not looked at`}`,
  '',
].join('\n');

interface Options {
  readonly decisions: string[];
  readonly accessLog: string[];
  readonly system: string;
  readonly decisionField: string;
  readonly timeField: string;
  readonly reachedField: string;
  readonly deniedAfterEnd: boolean;
}

export const addMatchCommand = (audit: Command, run: Run): void => {
  audit.command('match')
    .summary('were uses allowed? (exit code 3: not all)')
    .description("Hold access logs of a system, one JSON object a line, against files of the decision log: uses without an allow, or after its end. Exits with 3 when there is one. Names of members are Envoy's unless said otherwise; dots lead into objects.")
    .requiredOption('--decisions <file...>', 'files of the decision log, oldest first')
    .requiredOption('--access-log <file...>', 'access logs, oldest first (- is stdin)')
    .option('--system <name>', 'name of the system, in what is printed', 'system')
    .option('--decision-field <name>', 'member with the id of the decision', 'decision_id')
    .option('--time-field <name>', 'member with the instant of the use', 'start_time')
    .option('--reached-field <name>', 'member that is there, and neither empty nor -, when the system was reached', 'upstream_host')
    .option('--no-denied-after-end', 'leave out attempts that were denied because access had ended')
    .action(async ({ decisions, accessLog, system, decisionField, timeField, reachedField, deniedAfterEnd }: Options, command: Command) => {
      const report = await matchUses({ decisions, accessLog, system, deniedAfterEnd, fields: { decision: decisionField, time: timeField, reached: reachedField } });
      show(run, command, { ...report } as unknown as JsonObject, () => matchText(report));
      if (report.findings.length > 0) run.exitCode = EXIT.denied;
    });
};
