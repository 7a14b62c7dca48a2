/**
 * Who has an overdue review gets no further emergency access: neither the entitlement, nor the persons behind, nor the workload. This is
 * judged at each issue, by the clock, whether or not housekeeping has placed its suspensions by then.
 */
import type { RecordRef } from '../grant-refs.ts';
import type { JsonObject } from '../json.ts';
import { readReview, reviewRef } from '../review.ts';
import { refuse, type Loaded, type Rule } from './change.ts';

export interface EmergencySubject {
  readonly grant: string;
  readonly workload: string;
  readonly entitlement?: string | undefined;
  /** Owner, issuer, whoever asked. */
  readonly persons: readonly string[];
}

/** Of one entitlement, person or workload: the latest emergency grants that were not reviewed yet. */
const RECENT_MAX = 50;

const emergencyRefs = ({ workload, entitlement, persons }: EmergencySubject): readonly RecordRef[] =>
  [`workload:${workload}`, ...(entitlement === undefined ? [] : [`entitlement:${entitlement}`]), ...new Set(persons.map((person) => `person:${person}`))].map((id) => ({ kind: 'emergency', id }));

const grantsIn = (value: JsonObject | undefined): readonly string[] => {
  const grants = value?.['grants'];
  return Array.isArray(grants) ? grants.filter((id): id is string => typeof id === 'string') : [];
};

/** The rule, with this guard before it and the new grant noted after it. */
export const guardEmergency = (rule: Rule, subject: EmergencySubject): Rule => {
  const refs = emergencyRefs(subject);
  const recent = (loaded: Loaded): readonly string[] => [...new Set(refs.flatMap((ref) => grantsIn(loaded.record(ref)?.value)))];
  const reviewOf = (loaded: Loaded, grant: string) => readReview(loaded.record(reviewRef(grant))?.value);
  return {
    ...rule,
    needs: (loaded) => [...rule.needs(loaded), ...refs, ...recent(loaded).map(reviewRef)],
    judge: (loaded, now) => {
      const overdue = recent(loaded).find((grant) => {
        const review = reviewOf(loaded, grant);
        return review?.state === 'open' && !(now.latest < review.dueAt);
      });
      if (overdue !== undefined) return refuse('suspended', `the review of emergency access ${overdue} is overdue; until it is done there is no further emergency access`);
      const ruling = rule.judge(loaded, now);
      if (!ruling.ok || ruling.change === undefined) return ruling;
      const puts = [];
      for (const key of refs) {
        const open = grantsIn(loaded.record(key)?.value).filter((grant) => reviewOf(loaded, grant)?.state !== 'closed');
        const used = open.filter((grant) => reviewOf(loaded, grant) !== undefined);
        if (used.length >= RECENT_MAX) return refuse('limit', `${RECENT_MAX} uses of emergency access wait for their review`);
        // What was never used needs no review, and makes room.
        const kept = open.length < RECENT_MAX ? open : used;
        puts.push({ key, value: { version: 1, grants: [...kept, subject.grant] } });
      }
      return { ...ruling, change: { ...ruling.change, puts: [...ruling.change.puts, ...puts] } };
    },
  };
};
