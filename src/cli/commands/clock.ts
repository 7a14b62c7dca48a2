/** `curfew clock reset`: an operator accepts the wall clock of a node. */
import type { Command } from 'commander';
import type { JsonObject } from '../../domain/json.ts';
import { clientFor, show, type Run } from '../context.ts';
import { details } from '../print.ts';

const said = (answer: JsonObject): string => {
  const { behindMs } = answer;
  const waits = typeof behindMs === 'number' && behindMs > 0 ? `The wall clock is ${behindMs} ms behind time already used; it counts once it has caught up.\n` : '';
  return `${details(answer)}${waits}`;
};

export const addClockCommands = (program: Command, run: Run): void => {
  const clock = program.command('clock').summary('accept the clock of a node').description('The clock of the node behind --server.');
  clock.command('reset')
    .description('Accept the wall clock as it is, after a step that was not believed (everything is denied with clock.untrusted meanwhile). Time never runs backwards: a clock that is behind counts once it has caught up.')
    .requiredOption('-r, --reason <text>', 'why')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async ({ reason, idempotencyKey }: { reason: string; idempotencyKey?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).send('POST', '/clock/reset', { reason }, { idempotencyKey }), said));
};
