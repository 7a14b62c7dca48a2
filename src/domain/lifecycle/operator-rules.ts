/** Operators of a realm as records: who holds which role. Nobody changes the own record (DESIGN I13). */
import { endingRef, type RecordRef } from '../grant-refs.ts';
import type { JsonObject } from '../json.ts';
import { invalid, refuse, type Actor, type Rule } from './change.ts';
import { revocationParts } from './ending-rules.ts';
import { isOidcId, isPerson } from './fields.ts';
import { graceEndNeeds } from './grace-given.ts';
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

/** `onTransfer: end`: what somebody approved ends when they are no approver any more. */
export interface OperatorSetting {
  readonly newId: () => string;
  readonly settleMs: number;
  readonly onTransfer: 'flag' | 'end';
}

export const setOperator = (id: string, roles: readonly Role[], actor: Actor, setting: OperatorSetting): Rule => ({
  ends: false,
  needs: (loaded) => [operatorRef(id), endingRef({ kind: 'approver', value: id }), ...graceEndNeeds(loaded, { kind: 'approver', value: id })],
  judge: (loaded) => {
    const fault = operatorFault(id);
    if (fault !== undefined) return invalid([{ path: '/id', message: fault }]);
    if (!roles.every((role) => ROLES.includes(role))) return invalid([{ path: '/roles', message: `may hold ${ROLES.join(', ')}` }]);
    if (actor.id === id) return refuse('not-permitted', 'nobody changes their own roles');
    const record: OperatorRecord = { version: 1, id, roles: ROLES.filter((role) => roles.includes(role)), setBy: actor.id };
    const value = record as unknown as JsonObject;
    const lostRoles = readOperatorRoles(loaded.record(operatorRef(id))?.value).filter((role) => !roles.includes(role));
    const ends = lostRoles.includes('approver') && setting.onTransfer === 'end';
    const ended = ends ? revocationParts({ id: setting.newId(), selector: { kind: 'approver', value: id }, reason: `${id} is no approver any more`, settleMs: setting.settleMs }, loaded, actor) : undefined;
    if (ends && ended === undefined) return refuse('unavailable', 'an ending record could not be understood; nothing was changed');
    return {
      ok: true,
      change: {
        puts: [{ key: operatorRef(id), value }, ...(ended?.puts ?? [])],
        events: [{ type: 'operator.configured', about: [operatorRef(id)], ending: false, data: { operator: value, lostRoles, by: actor.id } }, ...(ended?.events ?? [])],
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
