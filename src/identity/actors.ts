/**
 * The `act` claim of a delegated token (RFC 8693, 4.1): who acts now is the workload, whose grants count; the token's subject is whom it acts for, and
 * actors before it are those that nest inside. An issuer names actors of its own only, as it names its subjects: `iss` may only repeat the token's.
 * Whatever is not well-formed, or nests deeper than the limit, makes the token nobody's.
 */
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { parseSpiffeId } from '../domain/spiffe-id.ts';
import type { ActsFor } from '../decision/evaluation.ts';
import type { Issuer } from './issuer.ts';
import { ACTORS_MAX } from './limits.ts';

export interface Actors {
  readonly workload: string;
  readonly actsFor: ActsFor;
}

/** An issuer may spell SPIFFE IDs into ids of its own (`oidc:sts.example/spiffe%3A...`); what ended for the SPIFFE ID itself ends it too. */
const spiffeIdOf = ({ sub }: JsonObject): readonly string[] => (typeof sub === 'string' && parseSpiffeId(sub) !== undefined ? [sub] : []);

/** `subject`: the workload of the token's own claims. `undefined`: malformed, or an actor that this issuer may not vouch for. */
export const readActors = (claims: JsonObject, subject: string, issuer: Pick<Issuer, 'workloadOf'>): Actors | undefined => {
  const actors: string[] = [];
  const alsoKnownAs = [...spiffeIdOf(claims)];
  for (let link: JsonObject = claims; Object.hasOwn(link, 'act'); ) {
    const act = link['act'];
    if (!isJsonObject(act) || actors.length >= ACTORS_MAX) return undefined;
    if (Object.hasOwn(act, 'iss') && act['iss'] !== claims['iss']) return undefined;
    const { iss } = claims;
    const actor = typeof act['sub'] === 'string' && act['sub'] !== '' ? issuer.workloadOf(iss === undefined ? act : { ...act, iss }) : undefined;
    if (actor === undefined) return undefined;
    actors.push(actor);
    alsoKnownAs.push(...spiffeIdOf(act));
    link = act;
  }
  const [workload, ...priorActors] = actors;
  return workload === undefined ? undefined : { workload, actsFor: { subject, priorActors, alsoKnownAs: alsoKnownAs.filter((id) => id !== subject && !actors.includes(id)) } };
};
