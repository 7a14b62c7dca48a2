/**
 * The `act` claim of a delegated token (RFC 8693, 4.1): who acts now is the workload, whose grants count; the token's subject is whom it acts for, and
 * actors before it are those that nest inside. An issuer names actors of its own, as it names its subjects; those of another issuer, which `iss` tells, only where
 * the configuration lets it (`actorsOf`), and then they are whom that other issuer's rules would make of them.
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
  /** Issuers of actors, beside the token's own. */
  readonly issuers: readonly Issuer[];
}

/** An issuer may spell SPIFFE IDs into ids of its own (`oidc:sts.example/spiffe%3A...`); what ended for the SPIFFE ID itself ends it too. */
const spiffeIdOf = ({ sub }: JsonObject): readonly string[] => (typeof sub === 'string' && parseSpiffeId(sub) !== undefined ? [sub] : []);

/** `subject`: the workload of the token's own claims; `named`: an issuer of this realm by its name. `undefined`: malformed, or an actor that this issuer may not vouch for. */
export const readActors = (claims: JsonObject, subject: string, issuer: Issuer, named: (name: string) => Issuer | undefined): Actors | undefined => {
  const actors: string[] = [];
  const issuers = new Set<Issuer>();
  const alsoKnownAs = [...spiffeIdOf(claims)];
  for (let link: JsonObject = claims; Object.hasOwn(link, 'act'); ) {
    const act = link['act'];
    if (!isJsonObject(act) || actors.length >= ACTORS_MAX) return undefined;
    const { iss } = claims;
    const theirs = Object.hasOwn(act, 'iss') ? act['iss'] : iss;
    const from = theirs === iss ? issuer : typeof theirs === 'string' && issuer.config.actorsOf.includes(theirs) ? named(theirs) : undefined;
    const actor = typeof act['sub'] === 'string' && act['sub'] !== '' ? from?.workloadOf(theirs === undefined ? act : { ...act, iss: theirs }) : undefined;
    if (from === undefined || actor === undefined) return undefined;
    if (from !== issuer) issuers.add(from);
    actors.push(actor);
    alsoKnownAs.push(...spiffeIdOf(act));
    link = act;
  }
  const [workload, ...priorActors] = actors;
  return workload === undefined ? undefined : { workload, issuers: [...issuers], actsFor: { subject, priorActors, issuers: [...issuers].map(({ name }) => name), alsoKnownAs: alsoKnownAs.filter((id) => id !== subject && !actors.includes(id)) } };
};
