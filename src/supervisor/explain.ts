/** `explain` for operators: the same pipeline as decisions, without claim and record, told with every grant that was looked at. */
import { randomUUID } from 'node:crypto';
import type { Explain, ExplainRequest } from '../admin/decisions.ts';
import { createRedactor, replacedIn } from '../audit/redact.ts';
import type { Decider } from '../decision/decide.ts';
import type { Evaluation, Identity } from '../decision/evaluation.ts';
import { toRfc3339 } from '../domain/instant.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { reasonText } from '../domain/reasons.ts';
import { trustDomainOf } from '../domain/selector.ts';

/** An identity as if the workload had just proved itself; no credential stands behind it, so none can be revoked. */
const assumed = (workload: string, audience: readonly string[]): Identity => {
  const trustDomain = trustDomainOf(workload);
  return {
    workload,
    kind: trustDomain === undefined ? 'oidc' : 'jwt-svid',
    issuer: trustDomain === undefined ? '' : `spiffe://${trustDomain}`,
    audience,
    claims: {},
    credential: { selectors: [], fingerprint: 'explained' },
    confirmed: {},
  };
};

const evaluationFor = (realm: string, request: ExplainRequest): Evaluation => ({
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

export const createExplain = (decider: Pick<Decider, 'explain'>, redactHeaders: readonly string[]): Explain => {
  const redact = createRedactor(redactHeaders);
  return async (realm, request) => {
    const { workload, at, audience = [] } = request;
    const { decision, record } = await decider.explain(evaluationFor(realm, request), {
      ...(workload === undefined ? {} : { identity: assumed(workload, audience) }),
      ...(at === undefined ? {} : { at: { earliest: at, latest: at } }),
    });
    const grants = (record.facts?.grants ?? []).map(({ id, fault }): JsonObject =>
      fault === undefined ? { id, counts: true } : { id, counts: false, reason: fault, text: reasonText(fault) });
    const masked = record.input === undefined ? [] : replacedIn(record.input, redact(record.input));
    return redact({
      decision: decision.allow ? 'allow' : 'deny',
      ...(decision.allow
        ? { validUntil: toRfc3339(decision.validUntil), ...(decision.standing === undefined ? {} : { standing: decision.standing }) }
        : { reason: decision.reason, text: reasonText(decision.reason) }),
      ...(decision.grant === undefined ? {} : { grant: decision.grant }),
      ...(record.workload === undefined ? {} : { workload: record.workload }),
      at: toRfc3339(record.now.latest),
      ...(record.facts === undefined ? {} : { position: record.facts.position }),
      policyRevision: record.policy.revision,
      grants,
      ...(record.detail === undefined ? {} : { detail: record.detail }),
      record: { ...record, ...(masked.length === 0 ? {} : { masked }) } as unknown as JsonValue,
    });
  };
};
