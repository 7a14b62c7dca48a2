/**
 * SCIM 2.0 (RFC 7643, 7644) for identity providers that tell us of people: `/scim/<feed>/v2/Users` and `/Groups`. The order is fixed: the feed is
 * known, its bearer token is right, the size is within its limit, and only then is anything read. 2xx only once it is committed; whoever sends
 * repeats what failed with 5xx. No answer tells more than the feed itself has said.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FeedUser } from '../../domain/lifecycle/feed.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { readBytes } from '../read-bytes.ts';
import { readHookSecret, type SecretSources } from '../verify.ts';
import type { ScimConfig } from './config.ts';
import { readFilter, type Comparison } from './filter.ts';
import { readGroupPatch, readUserPatch } from './patch.ts';
import type { FeedPort, PortAnswer } from './port.ts';
import { discovery, readGroup, readUser, showGroup, showUser } from './resource.ts';
import { ERROR_SCHEMA, fault, LIST_SCHEMA, type ScimFault } from './text.ts';

export interface ServeScimDeps {
  readonly feeds: readonly { readonly config: ScimConfig; readonly port: FeedPort }[];
  readonly bodyBytesMax: number;
  readonly secrets: SecretSources;
  readonly onOutcome?: (feed: string, outcome: 'done' | 'unauthorized' | 'refused' | 'unavailable', detail?: string) => void;
}

/** Members that one message may name, and that are shown of a group. */
export const MEMBERS_MAX = 10_000;
const PAGE_MAX = 200;
const PAGE_DEFAULT = 100;
const START_MAX = 10_000_000;
const PATH = /^\/scim\/([a-z][a-z0-9-]{0,31})\/v2\/(Users|Groups|ServiceProviderConfig|ResourceTypes|Schemas)(?:\/([A-Za-z0-9-]{1,64}))?$/;
const TYPES = new Set(['application/scim+json', 'application/json']);

const HEADERS = { 'content-type': 'application/scim+json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;
const answer = (status: number, body?: JsonObject, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(body === undefined ? null : `${JSON.stringify(body)}\n`, { status, headers: { ...HEADERS, ...headers } });
const refused = ({ status, scimType, detail }: ScimFault, headers: Readonly<Record<string, string>> = {}): Response =>
  answer(status, { schemas: [ERROR_SCHEMA], status: String(status), ...(scimType === undefined ? {} : { scimType }), detail }, headers);
const NOT_FOUND: ScimFault = { status: 404, detail: 'there is no such resource' };

const failed = (executed: Extract<PortAnswer, { readonly ok: false }>): ScimFault => {
  const { code, detail } = executed.failure;
  if (code === 'invalid') return { status: 400, scimType: 'invalidValue', detail };
  if (code === 'limit') return { status: 400, scimType: 'tooMany', detail };
  if (code === 'state') return { status: 409, scimType: 'uniqueness', detail };
  if (code === 'not-found') return NOT_FOUND;
  return code === 'not-permitted' ? { status: 403, detail } : { status: 503, detail: 'not now; send it again' };
};

const idIn = ({ reply }: Extract<PortAnswer, { readonly ok: true }>, otherwise: string | undefined): string => (typeof reply['of'] === 'string' ? reply['of'] : (otherwise ?? ''));

const same = (a: string, b: string): boolean => {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
};

const numberIn = (given: string | null, fallback: number, most: number): number => (given !== null && /^-?\d{1,9}$/.test(given) ? Math.min(Number(given), most) : fallback);

export const createServeScim = ({ feeds, bodyBytesMax, secrets, onOutcome }: ServeScimDeps): ((request: Request) => Promise<Response | undefined>) => {
  const byId = new Map(feeds.map((feed) => [feed.config.id, feed]));

  const bodyOf = async (request: Request): Promise<{ readonly body: JsonObject } | { readonly fault: ScimFault }> => {
    if (!TYPES.has((request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '')) return { fault: { status: 415, detail: 'the body must be application/scim+json' } };
    const bytes = await readBytes(request, bodyBytesMax);
    if (bytes === undefined) return { fault: { status: 413, detail: `at most ${bodyBytesMax} bytes` } };
    try {
      const value = parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
      return isJsonObject(value) ? { body: value } : fault('invalidSyntax', 'the body must be an object');
    } catch {
      return fault('invalidSyntax', 'the body is no JSON');
    }
  };
  const handle = async (port: FeedPort, request: Request, url: URL, base: string, kind: string, id: string | undefined): Promise<Response> => {
    const { method } = request;
    if (kind !== 'Users' && kind !== 'Groups') {
      const found = discovery(kind, base);
      if (method !== 'GET') return refused({ status: 405, detail: 'only GET' }, { allow: 'GET' });
      if (Array.isArray(found)) {
        const one = id === undefined ? undefined : (found as readonly JsonObject[]).find((item) => item['id'] === id);
        if (id !== undefined) return one === undefined ? refused(NOT_FOUND) : answer(200, one);
        return answer(200, { schemas: [LIST_SCHEMA], totalResults: found.length, startIndex: 1, itemsPerPage: found.length, Resources: found as readonly JsonObject[] });
      }
      return found === undefined || id !== undefined ? refused(NOT_FOUND) : answer(200, found as JsonObject);
    }
    const withMembers = !(url.searchParams.get('excludedAttributes') ?? '').toLowerCase().split(',').some((name) => name.trim() === 'members');
    const show = async (one: string): Promise<JsonObject | undefined> => {
      if (kind === 'Users') {
        const user = await port.user(one);
        return user && showUser(user.value, { ...user, base });
      }
      const group = await port.group(one);
      return group && showGroup(group.value, withMembers ? (await port.members(one)).slice(0, MEMBERS_MAX) : undefined, { ...group, base });
    };
    const shown = async (one: string, status: number): Promise<Response> => {
      const body = await show(one);
      return body === undefined ? refused(NOT_FOUND) : answer(status, body, { location: `${base}/${kind}/${one}` });
    };
    const made = async (executed: PortAnswer, status: number): Promise<Response> => (executed.ok ? shown(idIn(executed, id), status) : refused(failed(executed)));

    if (method === 'GET' && id !== undefined) return shown(id, 200);
    if (method === 'GET') return list(port, url, kind, show);
    if (method === 'DELETE' && id !== undefined) {
      const executed = await (kind === 'Users' ? port.removeUser(id) : port.removeGroup(id));
      return executed.ok ? answer(204) : refused(failed(executed));
    }
    if (!((method === 'POST' && id === undefined) || ((method === 'PUT' || method === 'PATCH') && id !== undefined))) {
      const allow = id === undefined ? 'GET, POST' : 'GET, PUT, PATCH, DELETE';
      return refused({ status: 405, detail: `here only ${allow}` }, { allow });
    }
    const read = await bodyOf(request);
    if ('fault' in read) return refused(read.fault);
    const { body } = read;
    if (kind === 'Users') {
      if (id === undefined) {
        const user = readUser(body);
        return 'fault' in user ? refused(user.fault) : made(await port.createUser({ ...user, active: user.active ?? true }), 201);
      }
      const change = method === 'PUT' ? readUser(body) : readUserPatch(body);
      if ('fault' in change) return refused(change.fault);
      const whole = method === 'PUT';
      return made(await port.changeUser(id, (user) => changed(user, change, whole), change.active === false), 200);
    }
    const change = method === 'PATCH' ? readGroupPatch(body, MEMBERS_MAX) : readGroup(body, MEMBERS_MAX);
    if ('fault' in change) return refused(change.fault);
    const members = Array.isArray(change.members) ? { whole: true, add: change.members as readonly string[], remove: [] } : (change.members as { readonly whole: boolean; readonly add: readonly string[]; readonly remove: readonly string[] } | undefined);
    // Before anything is changed: an id of a group, or of nobody, is no member.
    for (const member of members?.add ?? []) if ((await port.user(member)) === undefined) return refused({ status: 400, scimType: 'invalidValue', detail: 'a member is no user here' });
    const terms = (group: { readonly displayName: string; readonly externalId?: string }) => {
      const externalId = change.externalId === undefined && method === 'PATCH' ? group.externalId : (change.externalId ?? undefined);
      return { displayName: change.displayName ?? group.displayName, ...(externalId === undefined ? {} : { externalId }) };
    };
    if (id !== undefined && (await port.group(id)) === undefined) return refused(NOT_FOUND);
    const own = id === undefined ? await port.createGroup(terms({ displayName: '' }))
      : change.displayName === undefined && change.externalId === undefined ? undefined : await port.changeGroup(id, terms);
    if (own !== undefined && !own.ok) return refused(failed(own));
    const group = id ?? (own === undefined ? '' : idIn(own, ''));
    const moved = members === undefined ? undefined : await port.changeMembers(group, members);
    if (moved !== undefined && !moved.ok) return refused(failed(moved));
    return shown(group, id === undefined ? 201 : 200);
  };

  const list = async (port: FeedPort, url: URL, kind: 'Users' | 'Groups', show: (id: string) => Promise<JsonObject | undefined>): Promise<Response> => {
    const filter = url.searchParams.get('filter');
    const start = Math.max(1, numberIn(url.searchParams.get('startIndex'), 1, START_MAX));
    const count = Math.max(0, numberIn(url.searchParams.get('count'), PAGE_DEFAULT, PAGE_MAX));
    const known = kind === 'Users' ? ['userName', 'externalId', 'id'] : ['displayName', 'externalId', 'id', 'members', 'members.value'];
    const compared = filter === null ? undefined : readFilter(filter, known);
    if (compared !== undefined && 'fault' in compared) return refused(compared.fault);
    const { ids, total } = compared === undefined ? await port.page(kind === 'Users' ? 'user' : 'group', start, count) : await lookUp(port, kind, compared);
    const resources = (await Promise.all((compared === undefined ? ids : ids.slice(start - 1, start - 1 + count)).map(show))).filter((one) => one !== undefined);
    return answer(200, { schemas: [LIST_SCHEMA], totalResults: total, startIndex: start, itemsPerPage: resources.length, Resources: resources });
  };

  /** One of the comparisons names it, the others must hold too. */
  const lookUp = async (port: FeedPort, kind: 'Users' | 'Groups', compared: readonly Comparison[]): Promise<{ readonly ids: readonly string[]; readonly total: number }> => {
    const none = { ids: [], total: 0 };
    const found = await Promise.all(compared.filter(({ name }) => !name.startsWith('members')).map(async ({ name, value }) => {
      if (name === 'id') return value;
      return port.find(name === 'externalId' ? (kind === 'Users' ? 'user.externalId' : 'group.externalId') : (name as 'userName' | 'displayName'), value);
    }));
    const [id] = found;
    if (id === undefined || found.some((one) => one !== id) || (await (kind === 'Users' ? port.user(id) : port.group(id))) === undefined) return none;
    for (const { name, value } of compared) if (name.startsWith('members') && !(await port.isMember(id, value))) return none;
    return { ids: [id], total: 1 };
  };

  return async (request) => {
    const url = new URL(request.url);
    if (!url.pathname.startsWith('/scim/')) return undefined;
    const [, feedId = '', kind = '', id] = PATH.exec(url.pathname) ?? [];
    const feed = byId.get(feedId);
    if (feed === undefined) return refused(NOT_FOUND);
    const expected = readHookSecret(feed.config.token, secrets);
    const given = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(request.headers.get('authorization') ?? '')?.[1];
    if (expected === undefined || given === undefined || !same(given, expected)) {
      onOutcome?.(feedId, 'unauthorized');
      return refused({ status: 401, detail: 'the bearer token is not right' }, { 'www-authenticate': 'Bearer realm="scim"' });
    }
    try {
      const response = await handle(feed.port, request, url, `${url.origin}/scim/${feedId}/v2`, kind, id);
      onOutcome?.(feedId, response.status < 400 ? 'done' : response.status < 500 ? 'refused' : 'unavailable', response.status < 400 ? undefined : `${request.method} ${kind} ${response.status}`);
      return response;
    } catch (error) {
      // Nothing of what went wrong goes out; the sender repeats it.
      onOutcome?.(feedId, 'unavailable', error instanceof Error ? error.message : 'an unexpected failure');
      return refused({ status: 503, detail: 'not now; send it again' });
    }
  };
};

type UserWords = Pick<FeedUser, 'userName' | 'externalId' | 'displayName' | 'active'>;

/** `whole`: what is not named is there no more; but nobody comes back by not being said to be gone. */
const changed = (user: FeedUser, change: { readonly userName?: string; readonly externalId?: string | null; readonly displayName?: string | null; readonly active?: boolean }, whole: boolean): UserWords => {
  const text = (name: 'externalId' | 'displayName'): { readonly [name in 'externalId' | 'displayName']?: string } => {
    const value = change[name] === undefined && !whole ? user[name] : (change[name] ?? undefined);
    return value === undefined ? {} : { [name]: value };
  };
  return { userName: change.userName ?? user.userName, active: change.active ?? user.active, ...text('externalId'), ...text('displayName') };
};
