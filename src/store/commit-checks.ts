/** What every store checks of a commit before it touches anything. */
import { isInstant } from '../domain/instant.ts';
import { recordKeyText, type Commit, type EventDraft, type RecordKey } from './port.ts';

const COMMIT_CHANGES_MAX = 1_000;
const EVENT_ABOUT_MAX = 64;

const uniqueKeys = (commit: Commit): RecordKey[] => {
  const keys = [...[...commit.puts, ...(commit.increments ?? [])].map((change) => change.key), ...(commit.drops ?? [])];
  return [...new Map(keys.map((key) => [recordKeyText(key), key])).values()];
};

/** The log names every change: a commit that brings no event of its own gets this one. */
export const eventsOf = (commit: Commit): readonly EventDraft[] =>
  commit.events.length > 0 ? commit.events : [{ type: 'changed', about: uniqueKeys(commit), ending: false, data: {} }];

/** Throws a `TypeError` for what no commit may hold: a mistake of the caller, nothing of the outside. */
export const checkCommit = (commit: Commit): void => {
  const drops = commit.drops ?? [];
  const changes = commit.puts.length + (commit.increments?.length ?? 0) + drops.length;
  if (changes + commit.events.length === 0) throw new TypeError('store: an empty commit');
  if (changes + commit.events.length + commit.expect.length > COMMIT_CHANGES_MAX) throw new TypeError('store: a commit this large is not one decision');
  if (commit.events.some((event) => event.about.length > EVENT_ABOUT_MAX)) throw new TypeError('store: an event is about too many records');
  const dropped = new Set(drops.map(recordKeyText));
  if (dropped.size > 0 && [...commit.puts, ...(commit.increments ?? [])].some(({ key }) => dropped.has(recordKeyText(key)))) throw new TypeError('store: a commit changes and drops the same record');
  for (const put of commit.puts) {
    if (put.index !== undefined && !isInstant(put.index.end)) throw new TypeError('store: an end that is not an instant');
  }
};
