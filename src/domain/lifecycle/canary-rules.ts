/** What became of a canary, and the alert when its gateway did not end access, or that could not be shown. Told when it begins, when it turns worse, and once a day while it lasts. */
import { raise, withAlerts } from '../alert.ts';
import { grantRef, type RecordRef } from '../grant-refs.ts';
import type { Instant } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import type { Actor, Change, Rule } from './change.ts';

/** `ended`: as it should be. `open`: access without a grant, or after its end. `unproven`: neither could be shown. */
export const CANARY_RESULTS = ['ended', 'open', 'unproven'] as const;
export type CanaryResult = (typeof CANARY_RESULTS)[number];

export interface CanaryRun {
  readonly result: CanaryResult;
  readonly detail: string;
  readonly grant?: string;
  /** From the end of the grant to the first refusal that was seen. */
  readonly flipMs?: number;
}

/** The value stored under `canary/<id>`. */
export interface CanaryState extends CanaryRun {
  readonly version: 1;
  readonly id: string;
  readonly pep: string;
  readonly at: Instant;
  /** Last run that went as it should. */
  readonly endedAt?: Instant;
  readonly alertedAt?: Instant;
}

const AGAIN_MS = 86_400_000;

export const canaryRef = (id: string): RecordRef => ({ kind: 'canary', id });
export const readCanary = (value: JsonObject | undefined): CanaryState | undefined =>
  value !== undefined && value['version'] === 1 && typeof value['id'] === 'string' && (CANARY_RESULTS as readonly unknown[]).includes(value['result']) ? (value as unknown as CanaryState) : undefined;

export const noteCanary = (canary: { readonly id: string; readonly pep: string }, run: CanaryRun, actor: Actor): Rule => ({
  ends: false,
  needs: () => [canaryRef(canary.id)],
  judge: (loaded, now) => {
    const before = readCanary(loaded.record(canaryRef(canary.id))?.value);
    const bad = run.result !== 'ended';
    const tell = bad && (before?.result !== run.result || before.alertedAt === undefined || !(now.latest < before.alertedAt + AGAIN_MS));
    const endedAt = bad ? before?.endedAt : now.latest;
    const alertedAt = tell ? now.latest : bad ? before?.alertedAt : undefined;
    const { result, detail, grant, flipMs } = run;
    const state: CanaryState = {
      version: 1, ...canary, at: now.latest, result, detail,
      ...(grant === undefined ? {} : { grant }), ...(flipMs === undefined ? {} : { flipMs }), ...(endedAt === undefined ? {} : { endedAt }), ...(alertedAt === undefined ? {} : { alertedAt }),
    };
    const value = state as unknown as JsonObject;
    const change: Change = {
      puts: [{ key: canaryRef(canary.id), value }],
      events: [{ type: 'canary.ran', about: [canaryRef(canary.id), ...(grant === undefined ? [] : [grantRef(grant)])], ending: false, data: { canary: value, by: actor.id } }],
      reply: { canary: value },
    };
    const told = { canary: canary.id, pep: canary.pep, detail, ...(grant === undefined ? {} : { grant }) };
    return { ok: true, change: tell ? withAlerts(change, [raise(result === 'open' ? 'canary.open' : 'canary.unproven', `${canary.id}:${now.latest}`, now.latest, told)]) : change };
  },
});
