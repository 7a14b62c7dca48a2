/**
 * The closed catalogue of why a decision came out as it did. The order is the order of reporting: of several reasons the
 * first is the answer's. `wire` is what an answer says outside development.
 */
export type WireReason = 'unauthenticated' | 'denied' | 'ended' | 'unavailable';

const catalogue = {
  'request.malformed': { wire: 'denied', text: 'the question could not be read' },
  'request.ambiguous': { wire: 'denied', text: 'the request can be read in more than one way' },
  'request.too_large': { wire: 'denied', text: 'the request exceeds a limit' },
  'request.stream': { wire: 'denied', text: 'a stream or upgrade on a route without maxStreamMs' },
  'pep.unauthenticated': { wire: 'unauthenticated', text: 'the enforcement point did not prove who it is' },
  'pep.not_permitted': { wire: 'denied', text: 'the enforcement point may not ask this (realm, host or subject)' },
  'pep.revoked': { wire: 'ended', text: 'a revocation covers what this enforcement point asserted' },
  'pep.suspended': { wire: 'ended', text: 'the enforcement point is suspended' },
  'realm.revoked': { wire: 'ended', text: 'a revocation of the whole realm covers the credential' },
  'realm.suspended': { wire: 'ended', text: 'the realm is suspended' },
  'realm.unknown': { wire: 'denied', text: 'the realm is not configured' },
  'clock.untrusted': { wire: 'unavailable', text: 'the clock of this node is not trusted' },
  'credential.missing': { wire: 'unauthenticated', text: 'no credential was presented' },
  'credential.malformed': { wire: 'unauthenticated', text: 'the credential could not be read' },
  'credential.issuer': { wire: 'unauthenticated', text: 'the issuer or trust domain is not configured' },
  'credential.algorithm': { wire: 'unauthenticated', text: 'the signature algorithm is not allowed for this issuer' },
  'credential.key_unknown': { wire: 'unauthenticated', text: 'no key of the issuer has this key id' },
  'credential.keys_unavailable': { wire: 'unavailable', text: "the issuer's keys could not be had in time" },
  'credential.signature': { wire: 'unauthenticated', text: 'the signature does not verify' },
  'credential.type': { wire: 'unauthenticated', text: 'this type of token is not a credential here' },
  'credential.audience': { wire: 'unauthenticated', text: 'the credential is for another audience' },
  'credential.claims': { wire: 'unauthenticated', text: 'a required claim is missing or does not match' },
  'credential.not_yet': { wire: 'unauthenticated', text: 'the credential is not valid yet' },
  'credential.expired': { wire: 'unauthenticated', text: 'the credential has expired' },
  'credential.too_old': { wire: 'unauthenticated', text: "the credential's life exceeds the issuer's maxCredentialAge" },
  'credential.proof': { wire: 'unauthenticated', text: 'the proof of possession is missing or wrong' },
  'credential.replayed': { wire: 'unauthenticated', text: 'a one-time credential or proof was seen before' },
  'credential.gone': { wire: 'unauthenticated', text: 'its issuer says that the credential counts no more' },
  'credential.review_unavailable': { wire: 'unavailable', text: 'its issuer could not be asked in time whether the credential still counts' },
  'credential.revoked': { wire: 'ended', text: 'a revocation covers the credential' },
  'credential.suspended': { wire: 'ended', text: 'a suspension covers the credential' },
  'subject.malformed': { wire: 'denied', text: 'the subject is not a well-formed identity' },
  'subject.revoked': { wire: 'ended', text: 'a revocation covers the workload' },
  'subject.suspended': { wire: 'ended', text: 'a suspension covers the workload' },
  'grant.none': { wire: 'denied', text: 'no grant covers this action on this resource' },
  'grant.malformed': { wire: 'unavailable', text: 'a grant record could not be understood' },
  'grant.condition': { wire: 'denied', text: "the grant's audience, PEP or source condition does not match" },
  'grant.binding': { wire: 'denied', text: 'the grant is bound to another credential or key' },
  'grant.expired': { wire: 'ended', text: 'the grant has ended' },
  'grant.not_yet': { wire: 'denied', text: 'the grant has not begun' },
  'grant.revoked': { wire: 'ended', text: 'a revocation covers the grant' },
  'grant.suspended': { wire: 'ended', text: 'a suspension covers the grant' },
  'grant.uses_exhausted': { wire: 'ended', text: 'no uses of the grant are left' },
  'grant.entitlement': { wire: 'ended', text: "the grant's entitlement is not in the active bundle" },
  'grant.recertification': { wire: 'ended', text: 'recertification is overdue' },
  'grant.ancestor': { wire: 'ended', text: 'the grant it was delegated from no longer holds' },
  'task.missing': { wire: 'ended', text: "the grant's task is not known" },
  'task.closed': { wire: 'ended', text: 'the task is closed' },
  'task.paused': { wire: 'ended', text: 'the task is paused' },
  'task.deadline': { wire: 'ended', text: "the task's deadline has passed" },
  'task.heartbeat': { wire: 'ended', text: 'the task missed its heartbeat' },
  'standing.ended': { wire: 'ended', text: 'the standing entry has ended' },
  'policy.unavailable': { wire: 'unavailable', text: 'no policy bundle is active' },
  'policy.denied': { wire: 'denied', text: 'the policy said no' },
  'policy.undefined': { wire: 'denied', text: 'the policy gave no answer' },
  'policy.malformed': { wire: 'unavailable', text: 'the policy gave an answer that is not well-formed' },
  'policy.error': { wire: 'unavailable', text: 'the policy failed while it was evaluated' },
  'policy.quarantined': { wire: 'unavailable', text: 'this evaluation stopped a worker before and is refused' },
  'obligation.unsupported': { wire: 'denied', text: 'the enforcement point can not carry out an obligation' },
  'facts.unavailable': { wire: 'unavailable', text: 'the store could not be read' },
  'facts.stale': { wire: 'unavailable', text: 'the facts changed or aged before the answer could be written' },
  'facts.regressed': { wire: 'unavailable', text: 'the store lost endings that this node knows' },
  'facts.restored': { wire: 'unavailable', text: 'the store was restored from a backup, and no operator has said yet what ended since' },
  'claim.unknown': { wire: 'unavailable', text: 'the use could not be recorded, or it is unknown whether it was' },
  'decision.deadline': { wire: 'unavailable', text: 'the decision did not end within its deadline' },
  'decision.failed': { wire: 'unavailable', text: 'an unexpected failure; the answer is no' },
  'decision.unrecorded': { wire: 'unavailable', text: 'the decision log has no room for it, and nothing is allowed that is not written down' },
  'decision.shed': { wire: 'unavailable', text: 'too many decisions are under way' },
} as const satisfies Record<string, { readonly wire: WireReason; readonly text: string }>;

export type Reason = keyof typeof catalogue;

/** Every reason, in the order of reporting. */
export const REASONS = Object.keys(catalogue) as readonly Reason[];

/** What may leave the house in production. */
export const wireReason = (reason: Reason): WireReason => catalogue[reason].wire;

/** One sentence for people, without any value of the request. */
export const reasonText = (reason: Reason): string => catalogue[reason].text;
