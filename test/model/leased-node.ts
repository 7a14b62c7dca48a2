/** Node A of the model in leased mode: it answers from memory while it holds a lease, and reads only what memory lacks. */
import { FACTS_AGE, NEW, union, type Age, type Asked, type AskingNode, type ServerNumber, type State, type Steps } from './state.ts';
import { confirmed } from './servers.ts';
import { allows, changing, commonSteps, follows, lasts, leaseFrom, mayAsk } from './strict-node.ts';

/** Of facts that are for memory: they count by what they know, not by their age. */
const ANY_AGE: Age = { monotonic: FACTS_AGE, wall: FACTS_AGE };

/** A renewal that was confirmed is at the replicas too. */
const rowsWith = ({ rows, promoted }: State, server: ServerNumber): State['rows'] => (server === 1 ? [rows[0], true] : [true, rows[1] || !promoted]);

export const leasedSteps: Steps = (state, has) => {
  const { asking, logs } = state;
  const steps = commonSteps(state);
  const to = changing(state, steps);
  const { renewal, facts, known, reads, writes, memory } = asking;
  const { command, server } = state.revoking;

  const applied = ({ log, ...rest }: Asked): Partial<AskingNode> => ({
    renewal: undefined, known: log, ever: union(asking.ever, log), lease: leaseFrom({ log, ...rest }, has),
    memory: memory === 'live' && log.slice(known.length).includes('0') ? 'ended' : memory,
  });
  if (renewal === undefined && confirmed(state, writes, logs[writes], has('every replica confirms a lease'))) {
    const asked = { server: writes, log: logs[writes], age: NEW, arrived: false };
    const more = { rows: rowsWith(state, writes) };
    // Where the answer counts from before it was asked for, one that comes later allows nothing more.
    const atOnce = has('a lease counts from before it was asked for') && has('events are applied before the lease counts') && has('an acknowledgement comes after applying');
    if (!follows(known, asked.log, has)) to(`S${writes} knows other endings than A, which forgets its lease`, { lease: undefined, memory: 'nothing', thinking: false }, more);
    else if (atOnce) to(`A renews its lease on S${writes} and applies the events up to it`, applied(asked), more);
    else to(`S${writes} and its replicas have A's renewal`, { renewal: asked }, more);
  } else if (renewal !== undefined && !renewal.arrived) {
    to('the answer to the renewal arrives at A', { renewal: { ...renewal, arrived: true }, ...(has('events are applied before the lease counts') ? {} : { lease: leaseFrom(renewal, has) }) });
  } else if (renewal !== undefined) to('A applies the events and holds the lease', applied(renewal));

  // Between renewals it only looks, and nobody confirms what it sees.
  if (renewal === undefined && logs[writes] !== known && follows(known, logs[writes], has)) {
    const { lease: _lease, ...heard } = applied({ server: writes, log: logs[writes], age: NEW, arrived: true });
    to(`A follows S${writes}`, heard);
  }

  if (command !== undefined && command.lapse > 0) {
    const done = !has('an acknowledgement comes after applying') && renewal?.arrived === true ? renewal.log : known;
    const covers = has('endings are compared by hash') ? done.startsWith(command.at) : done.length >= command.at.length;
    const acknowledged = { revoking: { ...state.revoking, command: { ...command, lapse: 0 } } };
    if (writes === server && covers) to(`A acknowledges "${done}" to S${server}`, {}, acknowledged);
    if (!has('a holder has an id of its own')) to("B acknowledges under A's id", {}, acknowledged);
  }

  if (facts === undefined && memory === 'nothing' && mayAsk(state, has)) to(`A asks S${reads} for facts`, { facts: { server: reads, log: logs[reads], age: ANY_AGE, arrived: false } });
  if (facts !== undefined && lasts(asking, has) && (facts.log.startsWith(known) || !has('memory takes nothing older than what it has applied'))) {
    to(`facts of S${facts.server} arrive; A remembers them`, { facts: undefined, memory: facts.log.includes('0') ? 'ended' : 'live' });
  }
  if (has('an allow is written only under the lease')) {
    if (memory === 'live' && lasts(asking, has)) steps.push(allows(state, '0', {}));
  } else if (asking.thinking) steps.push(allows(state, '0', { thinking: false }));
  else if (memory === 'live' && lasts(asking, has)) to('A begins an evaluation from memory', { thinking: true });
  return steps;
};
