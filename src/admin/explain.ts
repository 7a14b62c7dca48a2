/**
 * `POST /v1/explain`: the pipeline itself with claim and record switched off, for a credential or for a workload as if it had
 * proved itself. Says of each grant that was looked at whether it counted, and if not, why.
 */
import { randomUUID } from 'node:crypto';
import type { Decider } from '../decision/decide.ts';
import type { Evaluation, Identity } from '../decision/evaluation.ts';
import type { DecisionRecord } from '../decision/record.ts';
import { grantRef } from '../domain/grant-refs.ts';
import { toRfc3339 } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import { reasonText } from '../domain/reasons.ts';
import { readGrant } from '../domain/records.ts';
import { trustDomainOf } from '../domain/selector.ts';
import type { Store } from '../store/port.ts';
import type { Explain, ExplainRequest } from './decisions.ts';

export interface ExplainDeps {
  readonly decider: Pick<Decider, 'explain'>;
  readonly store: Pick<Store, 'read'>;
}

const GRANTS_MAX = 200;

/** A workload that proved itself just now, by nothing that could be revoked by name, age or issuer. */
const assumedIdentity = (workload: string, audience: readonly string[]): Identity => ({
  workload,
  kind: trustDomainOf(workload) === undefined ? 'oidc' : 'jwt-svid',
  issuer: 'assumed',
  audience,
  claims: {},
  credential: { selectors: [], fingerprint: 'assumed' },
  confirmed: {},
});

const evaluationOf = (realm: string, request: ExplainRequest): Evaluation => ({
  id: randomUUID(),
  realm,
  protocol: 'explain',
  pep: { id: request.pep, obligations: [] },
  presented: request.token === undefined ? { kind: 'none' } : { kind: 'bearer', token: request.token },
  question: {
    action: request.action,
    resource: request.resource,
    ...(request.context === undefined ? {} : { context: request.context }),
    ...(request.source === undefined ? {} : { source: request.source }),
  },
  input: {},
});

const grantsOf = async (store: ExplainDeps['store'], realm: string, record: DecisionRecord): Promise<readonly JsonObject[]> => {
  const looked = (record.facts?.grants ?? []).slice(0, GRANTS_MAX);
  const records = await store.read(realm, looked.map(({ id }) => grantRef(id)));
  return looked.map(({ id, fault }, index) => {
    const value = records[index]?.value;
    const grant = value === undefined ? undefined : readGrant(value);
    return {
      id,
      counted: fault === undefined,
      ...(fault === undefined ? {} : { reason: fault, text: reasonText(fault) }),
      ...(grant === undefined ? {} : { model: grant.model, notBefore: toRfc3339(grant.notBefore), expiresAt: toRfc3339(grant.expiresAt), scopes: grant.scopes as unknown as JsonObject[] }),
    };
  });
};

export const createExplain = ({ decider, store }: ExplainDeps): Explain => async (realm, request) => {
  const { decision, record } = await decider.explain(evaluationOf(realm, request), {
    ...(request.at === undefined ? {} : { at: { earliest: request.at, latest: request.at } }),
    ...(request.workload === undefined ? {} : { identity: assumedIdentity(request.workload, request.audience ?? []) }),
  });
  return {
    allow: decision.allow,
    ...(decision.workload === undefined ? {} : { workload: decision.workload }),
    ...(decision.allow
      ? { validUntil: toRfc3339(decision.validUntil), ...(decision.standing === undefined ? {} : { standing: decision.standing }), ...(decision.wouldDeny === undefined ? {} : { wouldDeny: decision.wouldDeny }) }
      : { reason: decision.reason, text: reasonText(decision.reason) }),
    ...(decision.grant === undefined ? {} : { grant: decision.grant }),
    ...(record.detail === undefined ? {} : { detail: record.detail }),
    decidedAt: toRfc3339(decision.decidedAt),
    ...(decision.position === undefined ? {} : { position: decision.position }),
    policy: { revision: decision.policyRevision, ...(record.policy.result === undefined ? {} : { result: record.policy.result }) },
    grants: await grantsOf(store, realm, record),
    tasks: (record.facts?.tasks ?? []).map(({ id, state }) => ({ id, state })),
  };
};
