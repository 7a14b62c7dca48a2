/** Kubernetes' webhook authorizer: an opinion where one is configured, final when it is no; none elsewhere, and counted; what can't be read is denied, never left to others. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import type { Decision, Evaluation } from '../../src/decision/evaluation.ts';
import { kubernetesConfig } from '../../src/gateways/kubernetes/config.ts';
import { AUTHORIZE_PATH, createKubernetes } from '../../src/gateways/kubernetes/gateway.ts';
import { repositoryRoot } from '../parts.ts';
import { allowing, denying, startGateway, type TestGateway } from '../support/http-gateway.ts';

const TOKEN = 'apiserver-token-0123456789';
const pep = { id: 'apiserver', token: { sha256: createHash('sha256').update(TOKEN).digest('hex') }, asserts: ['oidc:cluster.example/**'], hosts: ['*'] };

let decide: (evaluation: Evaluation) => Decision;
let noOpinions = 0;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway({
    decide: (evaluation) => decide(evaluation), peps: [pep],
    apis: (parts) => [
      createKubernetes({
        ...parts, onNoOpinion: () => { noOpinions += 1; },
        config: kubernetesConfig.parse({
          enabled: true, bodyBytesMax: 4_096, serviceAccount: 'oidc:cluster.example/ns/{namespace}/sa/{name}', user: 'oidc:cluster.example/user/{user}',
          opinions: [{ users: ['system:serviceaccount:ci:*'] }, { groups: ['managed'], namespaces: ['prod'] }],
        }),
      }),
    ],
  });
});
afterAll(() => gateway.close());
beforeEach(() => {
  decide = allowing;
  noOpinions = 0;
  gateway.evaluations.length = 0;
});

const post = async (body: string, headers: Record<string, string> = {}, method = 'POST') => {
  const response = await fetch(`http://127.0.0.1:${gateway.port}${AUTHORIZE_PATH}?timeout=10s`, { method, headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers }, ...(method === 'POST' ? { body } : {}) });
  return { status: response.status, body: (await response.json()) as any };
};
const review = (spec: Record<string, unknown>) => post(JSON.stringify({ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', metadata: {}, spec, status: { allowed: false } }));
const pods = { namespace: 'prod', verb: 'get', version: 'v1', resource: 'pods', name: 'web-1' };
const CI = 'system:serviceaccount:ci:deployer';
const last = (): Evaluation => gateway.evaluations.at(-1) as Evaluation;

describe('reviews', () => {
  test('a service account of the opinion is allowed, or finally denied', async () => {
    const { body } = await review({ user: CI, uid: 'u', groups: ['system:authenticated'], extra: { k: ['v'] }, resourceAttributes: pods });
    expect(body).toEqual({ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', status: { allowed: true, reason: `curfew decision ${last().id}` } });
    expect(last()).toMatchObject({
      protocol: 'kubernetes', pep: { id: 'apiserver' }, presented: { kind: 'asserted', workload: 'oidc:cluster.example/ns/ci/sa/deployer' },
      question: { action: 'get', resource: { type: 'kubernetes', id: 'ns/prod/core/pods/web-1' } }, input: { spec: { user: CI, extra: { k: ['v'] } } },
    });
    decide = (evaluation) => denying(evaluation, 'grant.expired');
    expect((await review({ user: CI, resourceAttributes: pods })).body.status).toEqual({ allowed: false, denied: true, reason: `grant.expired (curfew decision ${last().id})` });
    decide = (evaluation) => denying(evaluation, 'facts.unavailable');
    expect((await review({ user: CI, resourceAttributes: pods })).body.status).toMatchObject({ allowed: false, denied: true, evaluationError: 'facts.unavailable' });
  });

  test('every kind of request has one resource', async () => {
    const ids = async (attributes: Record<string, unknown>, kind = 'resourceAttributes'): Promise<string> => {
      await review({ user: CI, [kind]: attributes });
      return `${last().question?.action} ${last().question?.resource.type}:${last().question?.resource.id}`;
    };
    expect(await ids({ verb: 'list', group: 'apps', resource: 'deployments', namespace: 'a' })).toBe('list kubernetes:ns/a/apps/deployments');
    expect(await ids({ verb: 'get', resource: 'pods', subresource: 'log', namespace: 'a', name: 'x' })).toBe('get kubernetes:ns/a/core/pods/x/log');
    expect(await ids({ verb: 'create', resource: 'serviceaccounts', subresource: 'token', namespace: 'a' })).toBe('create kubernetes:ns/a/core/serviceaccounts/~/token');
    expect(await ids({ verb: 'delete', resource: 'nodes', name: 'n1' })).toBe('delete kubernetes:cluster/core/nodes/n1');
    expect(await ids({ verb: 'get', path: '/healthz/ready' }, 'nonResourceAttributes')).toBe('get kubernetes-path:healthz/ready');
  });

  test('users are named by their own template; others of the system have no name and are denied', async () => {
    await review({ user: 'alice/../root', groups: ['managed'], resourceAttributes: pods });
    expect(last().presented).toEqual({ kind: 'asserted', workload: 'oidc:cluster.example/user/alice%2F..%2Froot' });
    for (const user of ['system:admin', 'system:serviceaccount:ci', 'system:node:x']) {
      expect((await review({ user, groups: ['managed'], resourceAttributes: pods })).body.status).toMatchObject({ allowed: false, denied: true });
      expect(last().refused, user).toBe('subject.malformed');
    }
  });

  test('elsewhere there is no opinion, it is counted, and nothing is decided', async () => {
    for (const spec of [
      { user: 'system:serviceaccount:other:x', resourceAttributes: pods }, { user: 'alice', groups: ['managed'], resourceAttributes: { ...pods, namespace: 'dev' } },
      { user: 'alice', groups: ['other'], resourceAttributes: pods }, { user: 'alice', groups: ['managed'], nonResourceAttributes: { verb: 'get', path: '/healthz' } }, { user: 'system:serviceaccount:ci', resourceAttributes: pods },
    ]) expect((await review(spec)).body.status, JSON.stringify(spec)).toEqual({ allowed: false, reason: 'curfew has no opinion about this' });
    expect(noOpinions).toBe(5);
    expect(gateway.evaluations).toEqual([]);
  });
});

test('what can not be read is denied, not left to the other authorizers', async () => {
  const broken = [
    '', '{', '[]', 'null', '{"apiVersion":"authorization.k8s.io/v1beta1","kind":"SubjectAccessReview","spec":{}}', '{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview"}', `"${'x'.repeat(5_000)}"`,
    ...[
      { resourceAttributes: pods }, { user: '', resourceAttributes: pods }, { user: 7, resourceAttributes: pods }, { user: 'alice' }, { user: 'alice', groups: 'x', resourceAttributes: pods }, { user: 'alice', groups: [7], resourceAttributes: pods },
      { user: 'alice', resourceAttributes: pods, nonResourceAttributes: { verb: 'get', path: '/x' } }, { user: 'alice', resourceAttributes: { ...pods, verb: '' } }, { user: 'alice', resourceAttributes: { ...pods, name: 'a/b' } },
      { user: 'alice', resourceAttributes: { ...pods, namespace: 7 } }, { user: 'alice', nonResourceAttributes: { verb: 'get', path: 'x' } }, { user: 'alice', nonResourceAttributes: { verb: 'get', path: '//x' } }, { user: 'alice', resourceAttributes: { ...pods, group: 'core' } },
    ].map((spec) => JSON.stringify({ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec })),
    `{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"root","user":"${CI}","resourceAttributes":${JSON.stringify(pods)}}}`,
  ];
  for (const body of broken) {
    const { status, body: answer } = await post(body);
    expect([status, answer.status.allowed, answer.status.denied], body.slice(0, 120)).toEqual([200, false, true]);
    expect(last().refused).toMatch(/^request\./);
  }
  expect(noOpinions).toBe(0);
  // In range of an opinion, but with two readings.
  expect((await review({ user: CI, resourceAttributes: { ...pods, name: '..' } })).body.status.denied).toBe(true);
  expect((await post('', {}, 'GET')).body.status.denied).toBe(true);
});

test('no two service accounts are one workload: namespace and name need something between them that neither can have', () => {
  const fits = (serviceAccount: string): boolean => kubernetesConfig.safeParse({ serviceAccount }).success;
  for (const template of ['oidc:c.example/{namespace}-{name}', 'oidc:c.example/{name}{namespace}', 'oidc:c.example/{namespace}.sa.{name}']) expect(fits(template), template).toBe(false);
  for (const template of ['oidc:c.example/ns/{namespace}/sa/{name}', 'oidc:c.example/{namespace}:{name}', 'oidc:c.example/system:serviceaccount:{namespace}:{name}']) expect(fits(template), template).toBe(true);
});

test('an API server that does not prove itself gets 401 and no yes', async () => {
  for (const authorization of ['', 'Bearer wrong-token-0123456789']) {
    const { status, body } = await post('{}', { authorization });
    expect([status, body.status.allowed]).toEqual([401, false]);
  }
});

test('the deployed example: caches off, errors deny, and a configuration that is valid', () => {
  const read = (name: string): string => readFileSync(join(repositoryRoot, 'deploy/kubernetes', name), 'utf8');
  const { webhook, ...entry } = parse(read('authorization.yaml')).authorizers[0] as { webhook: Record<string, unknown> };
  expect(entry).toMatchObject({ type: 'Webhook', name: 'curfew' });
  expect(webhook).toMatchObject({
    cacheAuthorizedRequests: false, cacheUnauthorizedRequests: false, failurePolicy: 'Deny', subjectAccessReviewVersion: 'v1', matchConditionSubjectAccessReviewVersion: 'v1',
  });
  expect(parse(read('kubeconfig.yaml')).clusters[0].cluster.server).toMatch(new RegExp(`${AUTHORIZE_PATH}$`));
  const loaded = loadConfig({ env: {}, flags: {}, file: { name: 'curfew.yaml', text: read('curfew.yaml') } });
  expect(loaded.ok ? [] : loaded.faults).toEqual([]);
});
