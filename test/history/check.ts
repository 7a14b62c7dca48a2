/**
 * Finds what must not be in a history: an allow to a question that was asked after a covering ending returned, one that its node's own
 * record says was written after, one past an end, one from facts that were too old, a confirmed command that is not there any more,
 * and access that does not come back.
 */
import type { Command, History } from './history.ts';

/** What real clocks, read by two processes of one machine in whole milliseconds, may differ by. */
const GRAIN_MS = 2;
/** Strict: the age that is noted is the very one that the last look compared, but in whole microseconds. */
const ROUNDED_MS = 0.001;
/**
 * Leased: the age that is noted begins with the renewal that was newest when the facts were taken, less than a lease before. The last look goes by
 * the newest one of its own moment, which may have come since; so the decision's own time comes on top, with what it waits for a processor.
 */
const DECIDING_MS = 100;
/** L1. */
export const BACK_WITHIN_MS = 5_000;

const endings = ({ commands }: History): readonly Command[] => commands.filter(({ what, outcome }) => what !== 'issue' && what !== 'approve' && outcome === 'done');
const ms = (value: number): string => `${value.toFixed(1)} ms`;

export const violations = (history: History): readonly string[] => {
  const found: string[] = [];
  const ended = new Map<string, Command>();
  for (const one of endings(history)) {
    const earlier = ended.get(one.grant);
    if (earlier === undefined || one.ended < earlier.ended) ended.set(one.grant, one);
  }
  const grants = new Map(history.grants.map((grant) => [grant.name, grant]));
  const names = new Map(history.grants.map(({ id, name }) => [id, name]));

  for (const ask of history.asks) {
    if (ask.status !== 200) continue;
    const { mustDeny } = history;
    if (mustDeny !== undefined && ask.started > mustDeny.since && ask.ended < mustDeny.until) found.push(`node ${ask.node} allowed ${ask.grant} although: ${mustDeny.why} (${ask.decision})`);
    const by = ended.get(ask.grant);
    if (by !== undefined && ask.started > by.ended) found.push(`node ${ask.node} allowed ${ask.grant} to a question asked ${ms(ask.started - by.ended)} after ${by.what} had returned (${ask.decision})`);
    const grant = grants.get(ask.grant);
    if (grant !== undefined && ask.started >= grant.expiresAt + GRAIN_MS) found.push(`node ${ask.node} allowed ${ask.grant} to a question asked ${ms(ask.started - grant.expiresAt)} after its end (${ask.decision})`);
  }
  for (const { node, decision, grant, earliest: judged, factsAgeMs } of history.written) {
    // The embedded store's facts are read after the clock, and the answer is written after both.
    const earliest = history.world === 'embedded' ? judged + (factsAgeMs ?? 0) : judged;
    const tolerated = history.world.startsWith('leased') ? DECIDING_MS : ROUNDED_MS;
    if (factsAgeMs !== undefined && factsAgeMs >= history.maxFactsAgeMs + tolerated) found.push(`node ${node} allowed from facts that were ${ms(factsAgeMs)} old (${decision})`);
    if (history.wrongClocks.includes(node)) continue;
    const name = names.get(grant) ?? '';
    const by = ended.get(name);
    if (by !== undefined && earliest > by.ended + GRAIN_MS) found.push(`node ${node} wrote an allow of ${name} ${ms(earliest - by.ended)} after ${by.what} had returned, by its own record (${decision})`);
    const end = grants.get(name)?.expiresAt;
    if (end !== undefined && judged >= end) found.push(`node ${node} wrote an allow of ${name} ${ms(judged - end)} past its end, by its own record (${decision})`);
  }
  for (const { what, grant, outcome } of history.commands) {
    if (outcome !== 'done' || history.healed === undefined) continue;
    const state = history.finally[grant];
    if (what === 'issue' && state === undefined) found.push(`${grant} was issued, and confirmed, and is not there`);
    // What was never granted can't be lost.
    if (what !== 'issue' && what !== 'approve' && history.grants.some(({ name }) => name === grant) && state !== 'ended') found.push(`${what} of ${grant} was confirmed and is lost: the grant is ${state ?? 'not there'}`);
  }
  const { healed } = history;
  for (const [node, allowed] of (healed?.allowed ?? []).entries()) {
    if (healed !== undefined && (allowed === undefined || !(allowed - healed.at <= BACK_WITHIN_MS))) found.push(`L1: node ${node} did not allow again within ${BACK_WITHIN_MS} ms of the end of the fault`);
  }
  return found;
};
