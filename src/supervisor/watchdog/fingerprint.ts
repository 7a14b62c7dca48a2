/** What an evaluation is known by in quarantine: who asked for what, whatever else the request carried. */
import { createHash } from 'node:crypto';
import type { Evaluation, Identity } from '../../decision/evaluation.ts';

const CHARS_MAX = 2_048;

const bounded = (text: string): string => (text.length <= CHARS_MAX ? text : `sha256:${createHash('sha256').update(text).digest('hex')}`);

/** Injective text; its first two members are the realm and the workload. At most `TEXT_BYTES_MAX` bytes of UTF-8. */
export const fingerprintOf = (evaluation: Evaluation, identity: Identity | undefined): string => {
  const { question } = evaluation;
  return JSON.stringify([
    bounded(evaluation.realm),
    identity === undefined ? null : bounded(identity.workload),
    bounded(JSON.stringify([question?.action, question?.resource.type, question?.resource.id, ...(evaluation.rule === undefined ? [] : [evaluation.rule])])),
  ]);
};

/** The part that names the workload, the same for all its evaluations. */
export const workloadPart = (realm: string, workload: string | undefined): string =>
  JSON.stringify([bounded(realm), workload === undefined ? null : bounded(workload)]);

/** Of what the bundle's rules for the decision log say of a workload's decisions. It has no workload part: decisions are not denied for it. */
export const logFingerprint = (realm: string, workload: string | undefined): string =>
  JSON.stringify(['log', bounded(realm), workload === undefined ? null : bounded(workload), null]);

/** From a fingerprint to its workload part; `undefined` when the text is none. */
export const workloadPartOf = (fingerprint: string): string | undefined => {
  try {
    const parts = JSON.parse(fingerprint) as unknown;
    return Array.isArray(parts) && parts.length === 3 ? JSON.stringify([parts[0], parts[1]]) : undefined;
  } catch {
    return undefined;
  }
};
