/**
 * Recertification: until when a grant counts without its owner's word that it is still needed. Decisions read the record with the grant, and the
 * instant in it is a deadline of the grant: overdue denies by itself. A record that can't be understood denies; one that is not there leaves
 * the deadline that the grant was issued with.
 */
import type { GrantCore } from './grant.ts';
import type { RecordRef } from './grant-refs.ts';
import { isInstant, type Instant } from './instant.ts';
import type { JsonObject } from './json.ts';

const DAY_MS = 24 * 3_600_000;
/** The owner is warned so long before it falls due. */
export const WARNED_DAYS = [30, 14, 7, 1] as const;

/** The value stored under `recertification/<grant>`, from the issue on. */
export interface Recertification {
  readonly version: 1;
  readonly grant: string;
  readonly workload: string;
  readonly entitlement: string;
  /** The grant's end: a record past it is over. */
  readonly expiresAt: Instant;
  /** Who answers for the grant. */
  readonly owner: string;
  /** Since it was issued, or last confirmed. */
  readonly since: Instant;
  readonly dueAt: Instant;
  readonly everyMs: number;
  /** The last time the owner said so. */
  readonly confirmed?: { readonly by: string; readonly at: Instant; readonly note: string };
  /** Once, since the last confirmation: so much longer, by the word of another person. */
  readonly grace?: { readonly by: string; readonly at: Instant; readonly until: Instant; readonly note: string };
}

export const recertificationRef = (grant: string): RecordRef => ({ kind: 'recertification', id: grant });

export const readRecertification = (value: JsonObject | undefined): Recertification | undefined => {
  if (value === undefined || value['version'] !== 1 || typeof value['grant'] !== 'string' || typeof value['owner'] !== 'string' || typeof value['entitlement'] !== 'string') return undefined;
  const { grace } = value as unknown as Recertification;
  const instants = [value['since'], value['dueAt'], value['expiresAt'], ...(grace === undefined ? [] : [grace.until])];
  return instants.every(isInstant) && Number.isSafeInteger(value['everyMs']) ? (value as unknown as Recertification) : undefined;
};

/** From then on it denies. */
export const recertificationEnd = ({ dueAt, grace }: Recertification): Instant => (grace === undefined ? dueAt : grace.until);

const NEVER_HELD = 0 as Instant;

/** The deadline of a grant or an ancestor, by its record as it was read; `undefined`: nobody has to confirm it. */
export const recertificationDeadline = ({ id, recertifyBy }: Pick<GrantCore, 'id' | 'recertifyBy'>, record: JsonObject | undefined): Instant | undefined => {
  if (recertifyBy === undefined || record === undefined) return recertifyBy;
  const read = readRecertification(record);
  return read?.grant === id ? recertificationEnd(read) : NEVER_HELD;
};

/** Which of the warnings is the one to give now: the latest whose time has come, where it lay within what was given; `undefined`: none. */
export const warningDue = ({ since, dueAt, grace }: Recertification, now: Instant): number | undefined =>
  grace !== undefined || !(now < dueAt) ? undefined : WARNED_DAYS.findLast((days) => since < dueAt - days * DAY_MS && dueAt - days * DAY_MS <= now);
