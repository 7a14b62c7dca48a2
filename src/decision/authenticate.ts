/** The first step: who asks. Throws `Denied` unless the credential holds now, by both ends of the clock's uncertainty. */
import { Denied } from './denied.ts';
import type { Evaluation, Identity } from './evaluation.ts';
import type { Authenticator } from './ports.ts';
import type { Progress } from './progress.ts';
import type { Within } from './within.ts';

/** `undefined`: nobody, where a standing entry lets nobody in. */
export const createAuthenticate = (authenticator: Authenticator, within: Within) =>
  async (evaluation: Evaluation, progress: Progress, startedMs: number): Promise<Identity | undefined> => {
    const optional = progress.standing?.identity === 'optional';
    if (evaluation.presented.kind === 'none' && optional) return undefined;
    const answer = authenticator.authenticate(evaluation.presented, { realm: evaluation.realm, now: progress.now });
    if (answer instanceof Promise) progress.waited = true;
    const authenticated = answer instanceof Promise ? await within(answer, startedMs, 'credential.keys_unavailable') : answer;
    if (!authenticated.ok) throw new Denied(authenticated.reason);
    const { identity } = authenticated;
    const { expiresAt, notBefore } = identity.credential;
    if (expiresAt === undefined && identity.kind !== 'x509' && identity.kind !== 'asserted') throw new Denied('credential.claims');
    if (expiresAt !== undefined && !(progress.now.latest < expiresAt)) throw new Denied('credential.expired');
    if (notBefore !== undefined && !(notBefore <= progress.now.earliest)) throw new Denied('credential.not_yet');
    return identity;
  };
