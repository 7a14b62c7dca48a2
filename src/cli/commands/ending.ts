/** `curfew revoke`, `suspend`, `lift`: access ends here. */
import { createHash } from 'node:crypto';
import type { Command } from 'commander';
import { isJsonObject, type JsonValue } from '../../domain/json.ts';
import { SELECTOR_KINDS } from '../../domain/selector.ts';
import { Failed } from '../api-client.ts';
import { clientFor, readInput, show, showEnded, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';

const KINDS = SELECTOR_KINDS.join(', ');

/** A composed value is written as JSON; everything else is text as it stands. */
const valueOf = (text: string): JsonValue => {
  if (!text.startsWith('{')) return text;
  try {
    const value = JSON.parse(text) as JsonValue;
    return isJsonObject(value) ? value : text;
  } catch {
    throw new Failed(EXIT.refused, 'the value begins like JSON and is not');
  }
};

/** The token itself never leaves this machine: its signing input's hash names it. */
const hashOfToken = (token: string): JsonValue => {
  const parts = token.trim().split('.');
  if (parts.length !== 3 || parts.some((part) => part === '')) throw new Failed(EXIT.refused, 'this is not a JWT (header.payload.signature)');
  return { sha256: createHash('sha256').update(`${parts[0]}.${parts[1]}`).digest('hex') };
};

interface EndOptions {
  readonly reason: string;
  readonly jwt?: string;
  readonly wait: boolean;
  readonly idempotencyKey?: string;
}

const addEnd = (program: Command, run: Run, name: 'revoke' | 'suspend', path: string, summary: string, description: string): void => {
  const command = program.command(name).summary(summary).description(`${description}\nKinds: ${KINDS}.`)
    .argument('<kind>', 'what kind of thing the value names')
    .argument('[value]', 'as text, or JSON: {"issuer":..,"jti":..}, {"issuer":..,"serial":..}')
    .requiredOption('-r, --reason <text>', 'why')
    .option('--no-wait', 'answer at once, not when it is enforced everywhere')
    .option('--idempotency-key <key>', 'repeat a command safely');
  if (name === 'revoke') command.option('--jwt <path>', 'credential: read the leaked token from a file (- is stdin); only its hash is sent');
  command.action(async (kind: string, value: string | undefined, options: EndOptions, self: Command) => {
    if ((value === undefined) === (options.jwt === undefined)) throw new Failed(EXIT.refused, name === 'revoke' ? 'give a value, or --jwt' : 'give a value');
    const named = options.jwt === undefined ? valueOf(value ?? '') : hashOfToken(await readInput(run.deps, options.jwt));
    const body = { selector: { kind, value: named }, reason: options.reason };
    const headers: Readonly<Record<string, string>> = options.wait ? {} : { prefer: 'respond-async' };
    (options.wait ? showEnded : show)(run, self, await clientFor(run, self).send('POST', path, body, { idempotencyKey: options.idempotencyKey, headers }));
  });
};

export const addEndingCommands = (program: Command, run: Run): void => {
  addEnd(program, run, 'revoke', '/revocations', 'end access for good', 'End access for good, for everything that the selector covers.');
  addEnd(program, run, 'suspend', '/suspensions', 'stop access until it is lifted', 'Stop access until another person lifts it.');
  program.command('lift')
    .summary('lift a suspension')
    .description('Lift a suspension that another person placed.')
    .argument('<id>', 'id of the suspension')
    .option('-r, --reason <text>', 'why')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, options: { reason?: string; idempotencyKey?: string }, command: Command) => {
      const body = options.reason === undefined ? {} : { reason: options.reason };
      show(run, command, await clientFor(run, command).send('POST', `/suspensions/${encodeURIComponent(id)}/lift`, body, { idempotencyKey: options.idempotencyKey }));
    });
};
