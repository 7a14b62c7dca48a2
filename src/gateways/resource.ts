/**
 * A resource that a question names itself. One of type `http` is a host and a path as routes would have written them, or the question
 * is ambiguous: what backends read in another way must not pass under a scope's pattern (THREATS B1). The host must be one that the
 * enforcement point may ask about.
 */
import { canonicalAuthority } from '../domain/authority.ts';
import { judgeTarget } from '../domain/http-target.ts';
import type { Reason } from '../domain/reasons.ts';
import { RESOURCE_ID_CHARS_MAX, resourcePatternFault, type ResourceRef } from '../domain/scope.ts';
import type { HttpQuestionRules } from './http-question.ts';

export const ACTION_CHARS_MAX = 128;
const TYPE_CHARS_MAX = 64;
/** What no segment has to be escaped for. */
const UNESCAPED = /^[A-Za-z0-9\-._~/]*$/;
/** Visible, and nothing that makes a line look like another one. */
const TEXT = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u;

const httpFault = (id: string, rules: HttpQuestionRules): Reason | undefined => {
  const slash = id.indexOf('/');
  const host = slash === -1 ? id : id.slice(0, slash);
  if (slash === -1 || (canonicalAuthority(host, 'https') !== host && canonicalAuthority(host, 'http') !== host)) return 'request.ambiguous';
  if (rules.hosts !== 'any' && !rules.hosts.has(host)) return 'pep.not_permitted';
  const path = id.slice(slash);
  const judged = judgeTarget(UNESCAPED.test(path) ? path : path.split('/').map(encodeURIComponent).join('/'));
  return judged.ok && judged.path === path ? undefined : 'request.ambiguous';
};

/** Why nothing can be said about this access, or `undefined`. */
export const accessFault = (action: string, { type, id }: ResourceRef, rules: HttpQuestionRules): Reason | undefined => {
  if (action.length > ACTION_CHARS_MAX || type.length > TYPE_CHARS_MAX || id.length > RESOURCE_ID_CHARS_MAX) return 'request.too_large';
  if (!TEXT.test(action) || !TEXT.test(type) || !TEXT.test(id)) return 'request.malformed';
  // A literal `*` in an id is a character like others.
  if (resourcePatternFault(id.replaceAll('*', 'x')) !== undefined) return 'request.ambiguous';
  return type === 'http' ? httpFault(id, rules) : undefined;
};
