/**
 * A revision never silently goes back (I14). Revisions are names and have no order of their own, so a bundle counts as older when
 * it was active before, when it was signed before the active one (`iat` in the signature), or when both revisions are whole
 * numbers and it has the smaller one. A first bundle can't be judged.
 */
import { quoted } from '../../bundle/bundle-refused.ts';

export interface Edition {
  /** Of the manifest; empty when it has none. */
  readonly revision: string;
  /** SHA-256 of the archive, hex. */
  readonly digest: string;
  /** Seconds; only from a signature that holds. */
  readonly issuedAt?: number | undefined;
}

/** Editions remembered, the active one aside. */
export const PAST_MAX = 256;

const WHOLE = /^\d{1,15}$/;

/** The same bytes, or another bundle under a revision that is no longer the active one's. */
const wasActive = (past: readonly Edition[], { revision, digest }: Edition, active: Edition): boolean =>
  past.some((one) => one.digest === digest || (revision !== '' && revision !== active.revision && one.revision === revision));

/** Why `next` may not follow `active`; `undefined` when it may. `past` were active before. */
export const whyOlder = (next: Edition, active: Edition | undefined, past: readonly Edition[]): string | undefined => {
  if (active === undefined || next.digest === active.digest) return undefined;
  const name = next.revision === '' ? `sha256-${next.digest.slice(0, 12)}` : next.revision;
  if (next.issuedAt !== undefined && active.issuedAt !== undefined && next.issuedAt < active.issuedAt) return `${quoted(name)} was signed before the active one`;
  if (WHOLE.test(next.revision) && WHOLE.test(active.revision) && Number(next.revision) < Number(active.revision)) return `${quoted(name)} is older than ${quoted(active.revision)}, which is active`;
  return wasActive(past, next, active) ? `${quoted(name)} was active before` : undefined;
};

/** What is remembered once `next` is active. */
export const pastAfter = (next: Edition, active: Edition | undefined, past: readonly Edition[]): readonly Edition[] => {
  const before = active === undefined || active.digest === next.digest ? past : [...past, active];
  // With `allowOlder` one that was active before is active again.
  return before.filter(({ digest }) => digest !== next.digest).slice(-PAST_MAX);
};
