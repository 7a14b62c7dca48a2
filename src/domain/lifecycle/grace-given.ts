/**
 * Grace holds by the word of the person who gave it, and no longer than that word counts: what takes their approvals away (they left, were revoked
 * or suspended as approver) takes the grace that they gave, in the same commit. One record a person lists it; whoever gives grace writes that record, so
 * that none slips in between.
 */
import type { RecordRef } from '../grant-refs.ts';
import { isInstant, type Instant } from '../instant.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { readRecertification, recertificationRef } from '../recertification.ts';
import type { Selector } from '../selector.ts';
import type { Change, Loaded } from './change.ts';

/** How many grants one person may hold by grace at a time: all of them end in one commit. */
export const GRACE_GIVEN_MAX = 100;

interface Given {
  readonly grant: string;
  readonly until: Instant;
}

export const graceGivenRef = (person: string): RecordRef => ({ kind: 'grace-given', id: person });

/** `undefined`: the record can't be understood. */
export const graceGiven = (loaded: Loaded, person: string): readonly Given[] | undefined => {
  const record = loaded.record(graceGivenRef(person));
  if (record === undefined) return [];
  const { given } = record.value;
  return Array.isArray(given) && given.every((one) => isJsonObject(one) && typeof one['grant'] === 'string' && isInstant(one['until'])) ? given : undefined;
};

/** The list with one more, without those that are over. */
export const graceGivenPut = (person: string, given: readonly Given[], one: Given, now: Instant): Change['puts'][number] => ({
  key: graceGivenRef(person), value: { version: 1, given: [...given.filter(({ grant, until }) => grant !== one.grant && now < until), one] as unknown as JsonObject[] },
});

/** Records that `graceEndPuts` reads. */
export const graceEndNeeds = (loaded: Loaded, { kind, value }: Selector): readonly RecordRef[] =>
  kind === 'approver' ? [graceGivenRef(value), ...(graceGiven(loaded, value) ?? []).map(({ grant }) => recertificationRef(grant))] : [];

/** What an ending of this selector takes with it. */
export const graceEndPuts = (loaded: Loaded, { kind, value }: Selector): Change['puts'] => {
  if (kind !== 'approver') return [];
  const given = graceGiven(loaded, value) ?? [];
  const ended = given.flatMap(({ grant }) => {
    const held = readRecertification(loaded.record(recertificationRef(grant))?.value);
    if (held?.grace?.by !== value) return [];
    const { grace: _over, ...rest } = held;
    return [{ key: recertificationRef(grant), value: rest }];
  });
  return given.length === 0 ? [] : [{ key: graceGivenRef(value), value: { version: 1, given: [] } }, ...ended];
};
