/** Operators of a realm as records: who holds which role. Nobody changes the own record (DESIGN I13). */
import type { RecordRef } from '../grant-refs.ts';
import type { JsonObject } from '../json.ts';
import { invalid, refuse, type Actor, type Rule } from './change.ts';
import { isOidcId, isPerson } from './fields.ts';
import { ROLES, type Role } from './roles.ts';

export interface OperatorRecord {
  readonly version: 1;
  readonly id: string;
  readonly roles: readonly Role[];
  readonly setBy: string;
}

export const operatorRef = (id: string): RecordRef => ({ kind: 'operator', id });

/** An operator is a person (`user:alice`), or an account no person is configured for (`oidc:issuer/sub`). */
const operatorFault = (id: string): string | undefined =>
  (isPerson(id) && id.startsWith('user:')) || isOidcId(id) ? undefined : 'must be a person such as user:alice, or an account such as oidc:issuer.example/subject';

export const setOperator = (id: string, roles: readonly Role[], actor: Actor): Rule => ({
  ends: false,
  needs: () => [operatorRef(id)],
  judge: () => {
    const fault = operatorFault(id);
    if (fault !== undefined) return invalid([{ path: '/id', message: fault }]);
    if (!roles.every((role) => ROLES.includes(role))) return invalid([{ path: '/roles', message: `may hold ${ROLES.join(', ')}` }]);
    if (actor.id === id) return refuse('not-permitted', 'nobody changes their own roles');
    const record: OperatorRecord = { version: 1, id, roles: ROLES.filter((role) => roles.includes(role)), setBy: actor.id };
    const value = record as unknown as JsonObject;
    return {
      ok: true,
      change: {
        puts: [{ key: operatorRef(id), value }],
        events: [{ type: 'operator.configured', about: [operatorRef(id)], ending: false, data: { operator: value, by: actor.id } }],
        reply: { operator: value },
      },
    };
  },
});

/** Roles of a stored operator record; none when it is absent or can't be understood. */
export const readOperatorRoles = (value: JsonObject | undefined): readonly Role[] => {
  const roles = value !== undefined && value['version'] === 1 ? value['roles'] : undefined;
  return Array.isArray(roles) ? ROLES.filter((role) => roles.includes(role)) : [];
};
