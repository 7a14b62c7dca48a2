/**
 * Drops what is over for good, so that a realm stays as small as what lives in it: grants and closed tasks that ended long ago, endings
 * that cover nothing any more, and the records of the commands that placed them.
 *
 * - An ending goes only when every credential that it could cover has ended by its age, and every grant that has not ended rests on
 *   something younger (I6). The realm's floor moves up to it in the same commit: what is as old counts as covered from then on.
 * - What stands (a suspension), what names one credential or certificate, and what can't be understood is kept for ever.
 * - A task whose id Curfew did not make is kept too: its id may come again from outside, and must not open it anew.
 * - Events and history stay. Nothing goes while the clock is not trusted.
 */
import type { Clock } from '../decision/ports.ts';
import type { EndingRecord } from '../domain/ending.ts';
import type { EventType } from '../domain/event-types.ts';
import { endingRef, taskRef, usesRef, type RecordRef } from '../domain/grant-refs.ts';
import type { JsonObject } from '../domain/json.ts';
import { recertificationRef } from '../domain/recertification.ts';
import { readEnding, readGrant, readTask } from '../domain/records.ts';
import { selectorKey, type Selector } from '../domain/selector.ts';
import type { Commit, NodeStore, StoredRecord } from '../store/port.ts';
import { FORGET_AFTER_MS } from './forget.ts';
import { newId } from './new-id.ts';
import { createRounds, type Rounds } from './rounds.ts';

export interface CompactorDeps {
  /** Where several nodes share it, one of them does the housekeeping. */
  readonly store: Pick<NodeStore, 'list' | 'read' | 'commit' | 'takeTurn'>;
  readonly clock: Clock;
  readonly realms: readonly string[];
  /** How long what is over is kept. */
  readonly keepEndedMs: number;
  /** No credential that any issuer may give lives longer. */
  readonly credentialMs: number;
  /** No grant lasts longer. */
  readonly grantMs?: number;
  /** Between two rounds; longer after one that took long. */
  readonly pauseMs: number;
  readonly onError: (error: unknown) => void;
}

export interface Compactor extends Rounds {
  /** One round; resolves to how many records it dropped. */
  compact(): Promise<number>;
}

// Five records go with a grant, and a commit takes 1,000 changes.
const PAGE = 180;
const PAUSES = 50;
const TURN_MS = 3_600_000;
const EVENT: EventType = 'records.dropped';
/** The form of ids that Curfew makes. */
const OWN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const NAMES_ITSELF = /^(?:credential|certificate):/;

type Drop = Pick<Commit, 'drops' | 'expect' | 'puts'>;
const NOTHING: Drop = { drops: [], expect: [], puts: [] };
const unchanged = ({ key, modified }: StoredRecord): Commit['expect'][number] => ({ key, version: modified.sequence });
const selectorOf = (value: JsonObject): string | undefined => {
  const selector = value['selector'];
  return typeof selector === 'object' && selector !== null ? selectorKey(selector as unknown as Selector) : undefined;
};

export const createCompactor = (deps: CompactorDeps): Compactor => {
  const { store, clock, realms, keepEndedMs, credentialMs, grantMs = 0, pauseMs, onError } = deps;
  const holder = newId(clock.now().latest);

  /** So long ago that no clock that is believed could say otherwise; `undefined` while time is not trusted. */
  const longAgo = (ms: number): number | undefined => {
    const { earliest, trusted } = clock.now();
    return trusted ? earliest - ms - FORGET_AFTER_MS : undefined;
  };

  const compactIn = async (realm: string): Promise<number> => {
    let dropped = 0;
    const walk = async (kind: string, judge: (page: readonly StoredRecord[], before: number) => Drop | Promise<Drop>): Promise<void> => {
      for (let after: string | undefined; ; ) {
        const page = await store.list(realm, { kind, limit: PAGE, ...(after === undefined ? {} : { after }) });
        const before = longAgo(keepEndedMs);
        if (before === undefined) return;
        const { drops = [], expect, puts } = await judge(page.items, before);
        if (drops.length > 0) {
          const { outcome } = await store.commit({ realm, expect, puts, drops, events: [{ type: EVENT, about: [], ending: false, data: { kind, count: drops.length } }] });
          // One that changed meanwhile stays, and its page with it, until the next round.
          if (outcome === 'committed') dropped += drops.length;
        }
        if (page.next === undefined) return;
        after = page.next;
      }
    };

    /** Least of what the grants that have not ended rest on. */
    let leastRoot = Number.POSITIVE_INFINITY;
    await walk('grant', (page, before) => {
      const over: StoredRecord[] = [];
      for (const record of page) {
        const grant = readGrant(record.value);
        if (grant !== undefined && grant.expiresAt <= before) over.push(record);
        else leastRoot = Math.min(leastRoot, grant?.root ?? record.created.sequence, record.created.sequence);
      }
      return { ...NOTHING, expect: over.map(unchanged), drops: over.flatMap(({ key, value }): RecordRef[] => [key, { kind: 'task-grant', id: key.id }, usesRef(key.id), ...(value['recertifyBy'] === undefined ? [] : [recertificationRef(key.id)])]) };
    });

    await walk('task', (page, before) => {
      const over = page.filter(({ key, value }) => {
        const task = readTask(value);
        return task?.state === 'closed' && OWN_ID.test(key.id) && task.closedAt !== undefined && task.closedAt <= before && task.deadline <= before;
      });
      return { ...NOTHING, expect: over.map(unchanged), drops: over.map(({ key }) => taskRef(key.id)) };
    });

    const realmRef = endingRef({ kind: 'realm', value: realm });
    await walk('ending', async (page, before) => {
      const credentialsOver = longAgo(Math.max(keepEndedMs, credentialMs, grantMs));
      if (credentialsOver === undefined) return NOTHING;
      const over = page.filter(({ key, value, marked, modified }) => {
        const ending = readEnding(value);
        if (ending === undefined || ending.suspensions.length > 0 || key.id === realmRef.id || NAMES_ITSELF.test(key.id)) return false;
        if (ending.revocation === undefined) return modified.at <= before;
        return marked !== undefined && marked.at <= credentialsOver && modified.at <= before && marked.sequence < leastRoot;
      });
      const newest = over.flatMap(({ marked }) => marked ?? []).sort((a, b) => a.sequence - b.sequence).at(-1);
      if (newest === undefined) return { ...NOTHING, expect: over.map(unchanged), drops: over.map(({ key }) => key) };
      const [found] = await store.read(realm, [realmRef]);
      const standing: EndingRecord | undefined = found === undefined ? { version: 1, selector: realmRef.id, suspensions: [] } : readEnding(found.value);
      if (standing === undefined) return NOTHING;
      const { floor } = standing;
      const raised = floor !== undefined && floor.sequence >= newest.sequence ? floor : newest;
      return {
        expect: [...over.map(unchanged), { key: realmRef, version: found?.modified.sequence ?? 0 }],
        puts: [{ key: realmRef, value: { ...standing, floor: { ...raised } } as unknown as JsonObject }],
        drops: over.map(({ key }) => key),
      };
    });

    // What people look up: placed long ago, and no longer what its selector's record names.
    for (const kind of ['revocation', 'suspension']) {
      await walk(kind, async (page, before) => {
        const old = page.filter(({ modified }) => modified.at <= before);
        const endings = await store.read(realm, old.map(({ value }) => ({ kind: 'ending', id: selectorOf(value) ?? 'unknown' })));
        const over = old.filter(({ key, value }, index) => {
          if (selectorOf(value) === undefined) return false;
          const record = endings[index];
          if (record === undefined) return true;
          const ending = readEnding(record.value);
          return ending !== undefined && ending.revocation !== key.id && !ending.suspensions.some(({ id }) => id === key.id);
        });
        return { ...NOTHING, expect: over.map(unchanged), drops: over.map(({ key }) => key) };
      });
    }
    return dropped;
  };

  const compact = async (): Promise<number> => {
    if (!clock.now().trusted || (await store.takeTurn?.('compactor', holder, TURN_MS)) === false) return 0;
    let dropped = 0;
    for (const realm of realms) dropped += await compactIn(realm);
    return dropped;
  };
  return { compact, ...createRounds({ round: compact, pauseMs: (tookMs) => Math.max(pauseMs, PAUSES * tookMs), monotonicMs: clock.monotonicMs, onError }) };
};

