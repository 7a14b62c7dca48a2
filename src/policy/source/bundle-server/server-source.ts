/**
 * A bundle from an OPA bundle server. Guarantees: what `read` gives was verified as `verify` demands and is not older than the
 * active one; what is refused or can't be had changes nothing; one request at a time; the last bundle that became active is kept
 * on disk. Only what became active is ever said to the server to be ours, so a refused bundle is offered again.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../../decision/ports.ts';
import { BundleRefused } from '../../bundle/bundle-refused.ts';
import type { SignedBy } from '../../signature/verify-files.ts';
import { archiveBundle } from '../archive-bundle.ts';
import type { BundleSource, Confirmed, SourceBundle, SourceEvent } from '../bundle-source.ts';
import type { BundleServerConfig } from './config.ts';
import type { KeptBundle, Note } from './kept-bundle.ts';
import { pastAfter, whyOlder, type Edition } from './newer.ts';
import { requestBundle } from './request-bundle.ts';
import { nextRequestMs, type LastRequest } from './schedule.ts';

export interface ServerSourceOptions {
  readonly name: string;
  readonly url: string;
  readonly config: BundleServerConfig;
  readonly kept: KeptBundle;
  readonly clock: Clock;
  /** Rejects with `BundleRefused`. */
  readonly verify: (bundle: SourceBundle) => Promise<SignedBy | undefined>;
  readonly onEvent: (event: SourceEvent) => void;
  /** Absent: the machine's own. */
  readonly random?: () => number;
}

/** A bundle that is verified, and what else is known of it. */
interface Held {
  readonly bundle: SourceBundle;
  readonly archive: Uint8Array;
  readonly edition: Edition;
  readonly etag?: string | undefined;
  readonly longPoll: boolean;
  readonly confirmed: Confirmed;
}

type Outcome = { readonly kind: 'unchanged' } | { readonly kind: 'changed' } | { readonly kind: 'pending' } | { readonly kind: 'failed'; readonly error: Error };

/** Ask again at once. */
const HELD_LONG: LastRequest = { kind: 'held', tookMs: Number.MAX_SAFE_INTEGER };

const errorOf = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export const createServerSource = (options: ServerSourceOptions): BundleSource => {
  const { name, url, config, kept, clock, verify, onEvent, random = Math.random } = options;
  const { origin, pathname } = new URL(url);
  const where = `${origin}${pathname}`;
  /** Became active. */
  let active: Held | undefined;
  let past: readonly Edition[] = [];
  /** What disk says was active at last, whether or not its archive is still good. */
  let remembered: Note | undefined;
  /** The newest that may become active. */
  let newest: Held | undefined;
  let opened: Promise<void> | undefined;
  const heldOf = new WeakMap<SourceBundle, Held>();
  const reported = new Map<SourceEvent['kind'], string>();
  /** A request gave something, or nothing new. */
  let settled = false;
  let failures = 0;
  let underWay: { readonly controller: AbortController; readonly held: boolean } | undefined;
  let closed = false;
  let turn: Promise<unknown> = Promise.resolve();
  let writing: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let changed: (() => void) | undefined;

  const report = (kind: SourceEvent['kind'], detail: string): void => {
    if (reported.get(kind) !== detail) onEvent({ kind, source: name, detail });
    reported.set(kind, detail);
  };
  const askedNow = (): Confirmed => ({ at: clock.now().latest, monotonicMs: clock.monotonicMs() });

  const hold = async (archive: Uint8Array, from: Pick<Held, 'etag' | 'longPoll' | 'confirmed'>): Promise<Held> => {
    const read = await archiveBundle({ name, where, ...(from.etag === undefined ? {} : { etag: from.etag }) }, archive);
    const signed = await verify(read);
    const edition = { revision: read.manifest.revision, digest: digestOf(archive), ...(signed?.issuedAt === undefined ? {} : { issuedAt: signed.issuedAt }) };
    const held: Held = { ...from, archive, edition, bundle: { ...read, verified: signed !== undefined } };
    heldOf.set(held.bundle, held);
    return held;
  };

  /** The kept bundle, as far as it can still be believed. */
  const open = async (): Promise<void> => {
    try {
      remembered = await kept.note();
      if (remembered === undefined) return;
      past = remembered.past;
      const { etag, longPoll, confirmedAt } = remembered;
      const { at, monotonicMs } = askedNow();
      const confirmed = { at: confirmedAt, monotonicMs: monotonicMs - Math.max(0, at - confirmedAt) };
      active = await hold(await kept.archive(remembered.active.digest), { etag, longPoll, confirmed });
    } catch (error) {
      report('kept.refused', errorOf(error).message);
    }
  };

  const write = async (): Promise<void> => {
    // What comes after the end must not overwrite what a successor wrote.
    if (active === undefined || closed) return;
    const { edition, etag, longPoll, confirmed, archive } = active;
    try {
      await kept.keep({ active: edition, past, etag, longPoll, confirmedAt: confirmed.at }, archive);
      reported.delete('kept.failed');
    } catch (error) {
      report('kept.failed', errorOf(error).message);
    }
  };
  /** One after the other, each what is known by then. */
  const keep = (): Promise<void> => (writing = writing.then(write));

  /** The server has the active one: what it may have offered in between is gone. */
  const confirm = async (by: Pick<Held, 'confirmed'> & Partial<Pick<Held, 'etag' | 'longPoll'>>): Promise<Outcome> => {
    const outcome: Outcome = { kind: newest === undefined ? 'unchanged' : 'changed' };
    newest = undefined;
    if (active === undefined) return outcome;
    active = { ...active, ...by };
    heldOf.set(active.bundle, active);
    await keep();
    return outcome;
  };

  const judge = async (archive: Uint8Array, from: Pick<Held, 'etag' | 'longPoll' | 'confirmed'>): Promise<Outcome> => {
    const digest = digestOf(archive);
    if (digest === active?.edition.digest) return confirm(from);
    if (digest === newest?.edition.digest) return { kind: 'pending' };
    const next = await hold(archive, from);
    const older = config.allowOlder ? undefined : whyOlder(next.edition, active?.edition ?? remembered?.active, past);
    if (older !== undefined) throw new BundleRefused('revision.older', older);
    newest = next;
    return { kind: 'changed' };
  };

  const request = async (waitMs: number): Promise<Outcome> => {
    await (opened ??= open());
    if (closed) return { kind: 'pending' };
    const controller = new AbortController();
    underWay = { controller, held: waitMs > 0 };
    const confirmed = askedNow();
    const answer = await requestBundle({ url, config, etag: active?.etag, waitMs, signal: controller.signal });
    underWay = undefined;
    if (controller.signal.aborted) return { kind: 'pending' };
    try {
      if (answer.kind === 'failed') throw new Error(`${where} ${answer.detail}`);
      const outcome = answer.kind === 'unchanged' ? await confirm({ confirmed }) : await judge(answer.bytes, { etag: answer.etag, longPoll: answer.longPoll, confirmed });
      failures = 0;
      settled = true;
      reported.delete('failed');
      if (outcome.kind !== 'pending') reported.delete('refused');
      return outcome;
    } catch (error) {
      failures += 1;
      const refused = error instanceof BundleRefused;
      if (refused) reported.delete('failed');
      report(refused ? 'refused' : 'failed', errorOf(error).message);
      return { kind: 'failed', error: errorOf(error) };
    }
  };
  /** One request at a time. */
  const inTurn = (waitMs: number): Promise<Outcome> => {
    const asked = turn.then(() => request(waitMs));
    turn = asked.catch(() => undefined);
    return asked;
  };

  const waitMs = (): number => (active?.longPoll === true && newest === undefined ? config.longPollMs : 0);
  const schedule = (delayMs: number): void => {
    clearTimeout(timer);
    if (!closed && changed !== undefined) timer = setTimeout(() => void round(), delayMs).unref();
  };
  /** What was refused is no better a moment later; what failed may be. */
  const scheduleAfter = (outcome: Outcome, otherwise: LastRequest): void => {
    const failed = outcome.kind === 'failed' && !(outcome.error instanceof BundleRefused);
    schedule(nextRequestMs(failed ? { kind: 'failed', failures } : otherwise, config, random));
  };
  const round = async (): Promise<void> => {
    const wait = waitMs();
    const from = clock.monotonicMs();
    const outcome = await inTurn(wait);
    const held = wait > 0 && outcome.kind === 'unchanged';
    scheduleAfter(outcome, held ? { kind: 'held', tookMs: clock.monotonicMs() - from } : { kind: 'answered' });
    if (outcome.kind === 'changed') changed?.();
  };

  return {
    name, where,
    read: async () => {
      const before = newest ?? active;
      if (before !== undefined && (settled || changed !== undefined)) return before.bundle;
      const outcome = await inTurn(0);
      if (outcome.kind === 'failed') throw outcome.error;
      const held = newest ?? active;
      if (held === undefined) throw new Error(`${where} gave no bundle`);
      return held.bundle;
    },
    readKept: async () => {
      await (opened ??= open());
      return active?.bundle;
    },
    accepted: async (bundle) => {
      const next = heldOf.get(bundle);
      if (next === undefined || next.edition.digest === active?.edition.digest) return;
      past = pastAfter(next.edition, active?.edition ?? remembered?.active, past);
      active = next;
      if (newest === next) newest = undefined;
      await keep();
      // From now on the server may hold requests.
      if (waitMs() > 0) schedule(0);
    },
    confirmed: () => active?.confirmed,
    notice: () => {
      const kind = reported.has('refused') ? 'refused' : 'failed';
      const detail = reported.get(kind);
      return detail === undefined ? undefined : { kind, source: name, detail };
    },
    watch: (onChange) => {
      changed = onChange;
      // What was read and did not become active is judged once more, so that it is known to be refused.
      if (newest !== undefined) setImmediate(onChange);
      schedule(nextRequestMs(failures > 0 ? { kind: 'failed', failures } : waitMs() > 0 ? HELD_LONG : { kind: 'answered' }, config, random));
    },
    refresh: async () => {
      if (underWay?.held === true) underWay.controller.abort();
      const outcome = await inTurn(0);
      scheduleAfter(outcome, waitMs() > 0 ? HELD_LONG : { kind: 'answered' });
      if (outcome.kind === 'failed') throw outcome.error;
    },
    close: () => {
      closed = true;
      clearTimeout(timer);
      underWay?.controller.abort();
      return writing;
    },
  };
};
