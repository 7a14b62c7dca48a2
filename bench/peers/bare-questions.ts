/** The questions about the bare rule, as each server wants them: the same callers and paths in the same order, every seventh denied. */
import { encoder } from '../../src/grpc/proto/schema.ts';
import type { Wire } from '../http/requests.ts';

const USERS = 1_000;
const ROLES = [['reader'], ['writer'], ['reader', 'writer'], ['guest', 'reader']] as const;
const rolesOf = (user: number): readonly string[] => ROLES[user % ROLES.length] as readonly string[];

/** `data.bench` of the rule. */
export const BARE_DATA = {
  roles: Object.fromEntries(Array.from({ length: USERS }, (_, user) => [`user-${user}`, rolesOf(user)])),
  permissions: {
    guest: [{ method: 'GET', prefix: '/catalogue/' }],
    reader: [{ method: 'GET', prefix: '/orders/' }],
    writer: [{ method: 'GET', prefix: '/orders/' }, { method: 'POST', prefix: '/orders/' }],
  },
};

interface Question {
  readonly user: number;
  readonly path: string;
  readonly allow: boolean;
}

const questions = (count: number): readonly Question[] =>
  Array.from({ length: count }, (_, index) => {
    const allow = index % 7 !== 6;
    return { user: (index * 7_919) % USERS, path: `/${allow ? 'orders' : 'invoices'}/${(index % 900) + 100}/lines`, allow };
  });

const post = (target: string, body: object, token?: string): string => {
  const text = JSON.stringify(body);
  return [`POST ${target} HTTP/1.1`, 'host: 127.0.0.1', ...(token === undefined ? [] : [`authorization: Bearer ${token}`]), 'content-type: application/json', `content-length: ${text.length}`, '', text].join('\r\n');
};

const attributes = ({ user, path }: Question): Record<string, unknown> => ({ attributes: { request: { http: { method: 'GET', path, host: 'shop.local', scheme: 'http', headers: { 'x-user': `user-${user}`, accept: '*/*' } } } } });

const encode = encoder('envoy.service.auth.v3.CheckRequest');

const wire = (count: number, requestOf: (question: Question) => string): Wire => {
  const all = questions(count);
  return { requests: all.map(requestOf), allow: all.map(({ allow }) => allow) };
};

/** POST /v1/data, with the enforcement point's token where there is one. */
export const bareOverOpa = (count: number, token?: string): Wire => wire(count, (question) => post('/v1/data/bench/bare/allow', { input: attributes(question) }, token));
export const bareOverGrpc = (count: number): Wire => wire(count, (question) => Buffer.from(encode(attributes(question))).toString('latin1'));
export const bareOverCerbos = (count: number): Wire =>
  wire(count, ({ user, path }) => post('/api/check/resources', {
    principal: { id: `user-${user}`, roles: rolesOf(user) }, resources: [{ actions: ['GET'], resource: { kind: 'path', id: path, attr: { path } } }],
  }));

/** A question of a full decision over gRPC: the bearer token in the request that Envoy describes. */
export const fullOverGrpc = (token: string, path: string): string =>
  Buffer.from(encode({ attributes: { source: { address: { socketAddress: { address: '192.0.2.7', portValue: 4_000 } } }, request: { http: { method: 'GET', path, host: 'shop.local', scheme: 'https', headers: { authorization: `Bearer ${token}` } } } } })).toString('latin1');
