/**
 * Back-to-back grants count as one: of one entitlement, for one workload under whichever of its names, with overlapping scopes. Together they
 * last at most `maxContinuousMs`; then `cooldownMs` must pass. Ends that came early are not counted as such: it is planned time that adds up.
 */
import type { RecordRef } from '../grant-refs.ts';
import { toRfc3339, type Instant, type TimeInterval } from '../instant.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { readGrant } from '../records.ts';
import { scopesMeet, type Scope } from '../scope.ts';
import { refuse, type Loaded, type Rule } from './change.ts';
import { registrationOf, registrationRefs } from './directory.ts';
import type { Entitlement } from './entitlement.ts';

interface Span {
  readonly from: number;
  readonly to: number;
  readonly scopes: readonly Scope[];
}

const SPANS_MAX = 256;

/** The stretch of time without a rest of `gapMs` that `span` is in. */
const stretchOf = (span: Span, spans: readonly Span[], gapMs: number): { readonly from: number; readonly to: number } => {
  let [from, to] = [span.from, span.to];
  for (let grew = true; grew; ) {
    grew = false;
    for (const other of spans) {
      if (!(other.from - to < gapMs && from - other.to < gapMs) || (other.from >= from && other.to <= to)) continue;
      [from, to, grew] = [Math.min(from, other.from), Math.max(to, other.to), true];
    }
  }
  return { from, to };
};

const spansIn = (value: JsonObject | undefined): readonly Span[] => (Array.isArray(value?.['spans']) ? (value['spans'] as readonly unknown[] as readonly Span[]) : []);

/** The rule, with what it issues counted. `workload` is whom it issues to. */
export const guardContinuity = (rule: Rule, workload: string, entitlement: Entitlement | undefined): Rule => {
  const { maxContinuousMs, cooldownMs = 1 } = entitlement ?? {};
  if (entitlement === undefined || maxContinuousMs === undefined) return rule;
  const keyOf = (loaded: Loaded): RecordRef => {
    const registration = registrationOf(loaded, workload);
    return { kind: 'continuity', id: JSON.stringify([entitlement.id, typeof registration === 'object' ? registration.id : workload]) };
  };
  return {
    ...rule,
    needs: (loaded) => [...rule.needs(loaded), ...registrationRefs(loaded, workload), keyOf(loaded)],
    judge: (loaded, now: TimeInterval) => {
      const ruling = rule.judge(loaded, now);
      if (!ruling.ok || ruling.change === undefined) return ruling;
      const { grant: issued } = ruling.change.reply;
      const grant = isJsonObject(issued) ? readGrant(issued) : undefined;
      if (grant === undefined) return refuse('unavailable', 'what was to be issued could not be understood');
      const key = keyOf(loaded);
      const spans = spansIn(loaded.record(key)?.value).filter(({ to }) => now.earliest < to + maxContinuousMs + cooldownMs);
      const mine: Span = { from: grant.notBefore, to: grant.expiresAt, scopes: grant.scopes };
      const { from, to } = stretchOf(mine, spans.filter(({ scopes }) => scopesMeet(scopes, grant.scopes)), cooldownMs);
      if (!(to - from <= maxContinuousMs)) {
        return refuse('limit', `back-to-back grants of this entitlement may last ${maxContinuousMs} ms together, and this would make them last from ${toRfc3339(from as Instant)} to ${toRfc3339(to as Instant)}; then ${cooldownMs} ms must pass`);
      }
      if (spans.length >= SPANS_MAX) return refuse('limit', `more than ${SPANS_MAX} grants of this entitlement in too short a time`);
      const value = { version: 1, spans: [...spans, mine] } as unknown as JsonObject;
      return { ...ruling, change: { ...ruling.change, puts: [...ruling.change.puts, { key, value }] } };
    },
  };
};
