/**
 * The three searches. Candidates are what the bundle lists (`data.curfew.search`) and what the subject's own grants name literally;
 * each is decided like an evaluation, without counting a use and without a record. Guarantee: what is returned would be allowed at that
 * moment; no pattern is returned. Not promised: completeness, since what only a pattern covers is not known by name.
 */
import { randomUUID } from 'node:crypto';
import type { Decider } from '../../decision/decide.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import type { Scope } from '../../domain/scope.ts';
import { mayAssert, valueAt, without } from '../subject.ts';
import { readEntities, type Entities, type Read } from './entities.ts';
import { evaluationOf, type Asker } from './evaluation.ts';
import { pageToken, readPage, searchDigest } from './page.ts';

export interface SearchSource {
  /** The active bundle's data. */
  readonly data: () => JsonObject | undefined;
  /** Scopes of the workload's grants that end after now. */
  readonly scopesOf: (realm: string, workload: string) => Promise<readonly Scope[]>;
}

export interface SearchDeps extends SearchSource {
  readonly explain: Decider['explain'];
  readonly pageMax: number;
  readonly candidatesMax: number;
}

export type Wanted = 'subject' | 'resource' | 'action';

const NEEDS = {
  subject: ['subject', 'action', 'resource'], resource: ['subject', 'action', 'resource'], action: ['subject', 'resource'],
} as const;

const texts = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? (value as readonly JsonValue[]).filter((item): item is string => typeof item === 'string' && item !== '') : [];

/** `data.curfew.search.subject.<type>`, `.resource.<type>`, `.action`. */
const listed = (data: JsonObject | undefined, wanted: Wanted, type: string): readonly string[] =>
  texts(valueAt(data, ['curfew', 'search', wanted, ...(wanted === 'action' ? [] : [type])]));

const literals = (scopes: readonly Scope[], wanted: Wanted, type: string): readonly string[] => {
  const ofType = scopes.filter(({ resource }) => resource.type === type);
  if (wanted === 'resource') return ofType.map(({ resource }) => resource.id).filter((id) => !id.includes('*'));
  return ofType.flatMap(({ actions }) => actions).filter((action) => action !== '*');
};

/** An entity that stands in for what is searched, so that the rest can be judged. */
const filled = (entities: Partial<Entities>, wanted: Wanted, candidate: string): Entities => {
  const { subject = {}, action = {}, resource = {} } = entities;
  const named = { ...entities, subject, action, resource };
  if (wanted === 'action') return { ...named, action: { name: candidate } };
  return { ...named, [wanted]: { ...named[wanted], id: candidate } };
};

const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** In a fixed order, each once. */
const candidatesOf = async (entities: Partial<Entities>, wanted: Wanted, asker: Asker, deps: SearchDeps): Promise<readonly string[]> => {
  const type = (wanted === 'subject' ? entities.subject : entities.resource)?.['type'] as string;
  const known = listed(deps.data(), wanted, type);
  if (wanted === 'subject') return [...new Set(known)].filter((id) => mayAssert(asker.caller.config, id)).toSorted(byName);
  // Whose grants? Judged once, for something that no type has rules about: the record says who it is that asks, if it is anybody.
  const anything = { ...filled(entities, wanted, 'search'), resource: { type: 'search', id: 'search' } };
  const { record } = await deps.explain(evaluationOf(randomUUID(), anything, asker));
  if (record.workload === undefined) return [];
  return [...new Set([...known, ...literals(await deps.scopesOf(asker.caller.realm, record.workload), wanted, type)])].toSorted(byName);
};

/** A credential proves one subject; who else might do it is not answered with it. */
const anySubject = (entities: Partial<Entities>, { credentialAt }: Asker): Partial<Entities> => {
  const { subject, ...rest } = without(entities, credentialAt) as Partial<Entities>;
  return { ...rest, subject: { type: subject?.['type'] ?? '' } };
};

export const search = async (wanted: Wanted, body: JsonObject, asker: Asker, deps: SearchDeps): Promise<Read<JsonObject>> => {
  const lacks = wanted === 'action' ? {} : { [wanted]: ['id'] };
  const read = readEntities(body, NEEDS[wanted], lacks);
  if (!read.ok) return read;
  const entities = wanted === 'subject' ? anySubject(read.value, asker) : read.value;
  const digest = searchDigest([wanted, asker.caller.pep.id ?? '', asker.caller.realm, entities]);
  const page = readPage(body, digest, deps.pageMax);
  if (!page.ok) return page;
  const { after, limit } = page.value;
  const all = await candidatesOf(entities, wanted, asker, deps);
  const rest = after === undefined ? all : all.filter((candidate) => byName(candidate, after) > 0);
  const results: JsonObject[] = [];
  let last: string | undefined;
  let looked = 0;
  for (const candidate of rest) {
    if (results.length >= limit || looked >= deps.candidatesMax) break;
    looked += 1;
    last = candidate;
    const { decision } = await deps.explain(evaluationOf(randomUUID(), filled(entities, wanted, candidate), asker));
    if (decision.allow === true) results.push(wanted === 'action' ? { name: candidate } : { type: entities[wanted]?.['type'], id: candidate });
    // Decisions go first.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const more = looked < rest.length && last !== undefined;
  return { ok: true, value: { results, page: { next_token: more ? pageToken(digest, last as string) : '', count: results.length } } };
};

