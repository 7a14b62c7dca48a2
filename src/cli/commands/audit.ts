/** `curfew audit`: how far the record is sealed, the record itself, and whether it holds. */
import type { Command } from 'commander';
import { keyIdOf, verifyCheckpoint, type Checkpoint } from '../../audit/record/checkpoint.ts';
import type { RecordReport } from '../../audit/record/verify.ts';
import type { JsonObject } from '../../domain/json.ts';
import { Failed, type ApiClient } from '../api-client.ts';
import { clientFor, readInput, show, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../print.ts';
import { wholeNumber } from '../terms.ts';
import { logReportText, verifyDecisions } from './audit-log.ts';
import { addMatchCommand } from './audit-match.ts';
import { eventRows, inOrder, timelineText, useRows } from './audit-timeline.ts';

const textsOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []);

/** Page by page, as the server has them. */
async function* eventsOf(client: ApiClient, after: number): AsyncGenerator<string> {
  for (let next: number | undefined = after; next !== undefined; ) {
    const page = await client.get('/audit/events', { after: String(next) });
    yield* textsOf(page['events']);
    next = typeof page['next'] === 'number' && page['next'] > next ? page['next'] : undefined;
  }
}

interface VerifyOptions {
  readonly anchor?: string[];
  readonly key?: string[];
  readonly after: number;
  readonly decisions?: string[];
  readonly partial?: boolean;
  readonly known?: string[];
}

const trustedOf = async (run: Run, files: readonly string[]): Promise<ReadonlySet<string>> =>
  new Set(await Promise.all(files.map(async (file) => {
    const keyId = await keyIdOf(await readInput(run.deps, file));
    if (keyId === undefined) throw new Failed(EXIT.refused, `${file} holds no public key (PEM or JWK, Ed25519 or P-256)`);
    return keyId;
  })));

/** Of each epoch the furthest that counts, of the realm that is verified. */
const anchoredOf = async (run: Run, files: readonly string[], realm: string | undefined, epoch: string | undefined, trusted: ReadonlySet<string> | undefined): Promise<readonly Checkpoint[]> => {
  const known: Checkpoint[] = [];
  for (const file of files) {
    for (const line of (await readInput(run.deps, file)).split('\n')) {
      if (line === '') continue;
      const verified = await verifyCheckpoint(line);
      if (!verified.ok) throw new Failed(EXIT.denied, `${file}: a checkpoint ${verified.fault}`);
      if (trusted?.has(verified.keyId) === false) throw new Failed(EXIT.denied, `${file}: a checkpoint is signed by a key that is not trusted (${verified.keyId})`);
      const { checkpoint } = verified;
      if ((realm === undefined || checkpoint.realm === realm) && (epoch === undefined || checkpoint.epoch === epoch)) known.push(checkpoint);
    }
  }
  return known;
};

const reportText = (report: RecordReport, trusted: boolean, anchors: number): string => {
  const { records, from, through, sealedThrough, unsealed, seals, keys, fault } = report;
  if (fault !== undefined) return `The record does NOT hold: ${fault.sequence === undefined ? '' : `record ${fault.sequence} `}${plain(fault.what)}.\n${records} records were read.\n`;
  return [
    `The record holds: ${records} records${records === 0 ? '' : `, ${from} to ${through}`}, ${seals} seals.`,
    `sealed: ${sealedThrough === undefined || seals === 0 ? 'nothing yet' : `up to ${sealedThrough}`}${unsealed === 0 ? '' : `; ${unsealed} not yet, which nothing proves`}`,
    `signed by: ${keys.length === 0 ? 'nobody yet' : keys.map(plain).join(', ')}${trusted ? '' : ' (give --key to say whom you trust)'}`,
    anchors === 0 ? 'A tail that was cut off is not seen without --anchor.' : `anchors: ${anchors} checkpoints agree`,
    '',
  ].join('\n');
};

export const addAuditCommands = (program: Command, run: Run): void => {
  const audit = program.command('audit').summary('the record: export, timeline, verify').description('The record: every event, chained and signed.');
  audit.command('status')
    .description('How far the record is sealed, and whether a store that was put back would be noticed.')
    .action(async (_options: unknown, command: Command) => show(run, command, await clientFor(run, command).get('/audit')));

  audit.command('export')
    .description('Print every event, one a line, byte for byte as it was chained.')
    .option('--after <sequence>', 'only those after it', wholeNumber, 0)
    .action(async ({ after }: { after: number }, command: Command) => {
      for await (const text of eventsOf(clientFor(run, command), after)) run.deps.stdout(`${text}\n`);
    });

  audit.command('timeline')
    .summary('one grant, workload or person, in the order of time')
    .description('What the record tells of one grant, workload or person: issuance, changes, endings; with files of the decision log also first and last use by enforcement point, and the first denial after them.')
    .argument('<id>', 'of a grant, a workload or a person')
    .option('--decisions <file...>', 'files of the decision log, oldest first')
    .action(async (id: string, { decisions = [] }: { decisions?: string[] }, command: Command) => {
      const client = clientFor(run, command);
      const { sealedThrough } = await client.get('/audit');
      const rows = inOrder([...(await eventRows(eventsOf(client, 0), id, typeof sealedThrough === 'number' ? sealedThrough : 0)), ...(await useRows(decisions, id))]);
      if (rows.length === 0) throw new Failed(EXIT.refused, 'the record tells nothing of it');
      show(run, command, { items: rows.map((row) => ({ ...row })) }, () => timelineText(rows));
    });

  addMatchCommand(audit, run);

  audit.command('verify')
    .summary('does the record hold? (exit code 3: no)')
    .description('Compute the chain again, and check seals and signatures. Names the first record that is not what was sealed, and exits with 3.')
    .argument('[file]', 'what `curfew audit export` printed (- is stdin); absent: asked from the server')
    .option('--key <file...>', 'public key that may have signed, PEM or JWK; absent: any')
    .option('--anchor <file...>', 'checkpoints kept elsewhere, one a line')
    .option('--after <sequence>', 'begin behind it; an anchor must have a checkpoint there', wholeNumber, 0)
    .option('--decisions <file...>', 'instead: files of the decision log, oldest first (- is stdin)')
    .option('--known <file...>', 'an earlier copy of these files, or their segment lines, kept elsewhere')
    .option('--partial', 'the first of these files may begin in the middle of chains')
    .action(async (file: string | undefined, { key, anchor = [], after, decisions, partial = false, known = [] }: VerifyOptions, command: Command) => {
      if (decisions !== undefined) {
        const { report, known: heads } = await verifyDecisions(decisions, partial, known);
        show(run, command, { ...report } as unknown as JsonObject, () => logReportText(report, heads));
        if (report.fault !== undefined) run.exitCode = EXIT.denied;
        return;
      }
      const client = clientFor(run, command);
      const state: JsonObject | undefined = file === undefined ? await client.get('/audit') : undefined;
      const realm = typeof state?.['realm'] === 'string' ? state['realm'] : undefined;
      const epoch = typeof state?.['epoch'] === 'string' ? state['epoch'] : undefined;
      const trusted = key === undefined ? undefined : await trustedOf(run, key);
      const anchored = await anchoredOf(run, anchor, realm, epoch, trusted);
      const lines = file === undefined ? eventsOf(client, after) : (await readInput(run.deps, file)).split('\n');
      // A server that starts reads this file, too, and verifies nothing.
      const { verifyRecord } = await import('../../audit/record/verify.ts');
      const report = await verifyRecord(lines, { anchored, ...(realm === undefined ? {} : { realm }), ...(epoch === undefined ? {} : { epoch }), ...(trusted === undefined ? {} : { trusted }) });
      show(run, command, { ...report, keys: [...report.keys], fault: report.fault === undefined ? undefined : { ...report.fault } }, () => reportText(report, trusted !== undefined, anchored.length));
      if (report.fault !== undefined) run.exitCode = EXIT.denied;
    });
};
