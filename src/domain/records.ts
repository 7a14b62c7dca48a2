/**
 * Stored values to domain records. An unknown version or shape is `undefined`, which makes callers deny. What was once
 * understood is remembered by identity of the value, because a store hands out the same object for an unchanged record.
 */
import type { EndingRecord } from './ending.ts';
import { MODELS, type Grant, type GrantCore } from './grant.ts';
import { isInstant } from './instant.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { OVER_BY_TIME, type Task } from './task.ts';

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const optional = (value: unknown, check: (value: unknown) => boolean): boolean => value === undefined || check(value);
const isCount = (value: unknown): boolean => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const isScope = (value: unknown): boolean =>
  isJsonObject(value) && isTexts(value['actions']) && isJsonObject(value['resource']) && isText(value['resource']['type']) && isText(value['resource']['id']);

const isConditions = (value: unknown): boolean =>
  isJsonObject(value) && ['audience', 'pep', 'source'].every((name) => optional(value[name], isTexts));

const isBinding = (value: unknown): boolean =>
  isJsonObject(value) && optional(value['x5t'], isText) && optional(value['jkt'], isText);

const isApproval = (value: unknown): boolean =>
  isJsonObject(value) && isText(value['id']) && isText(value['approver']) && isCount(value['sequence']);

const isCore = (value: unknown): value is GrantCore & JsonObject =>
  isJsonObject(value) &&
  isText(value['id']) && isText(value['workload']) && isText(value['bundleRevision']) &&
  Array.isArray(value['scopes']) && value['scopes'].every(isScope) &&
  isConditions(value['conditions']) && optional(value['binding'], isBinding) &&
  isInstant(value['notBefore']) && isInstant(value['expiresAt']) && optional(value['recertifyBy'], isInstant) &&
  (MODELS as readonly unknown[]).includes(value['model']) &&
  optional(value['task'], isText) && optional(value['entitlement'], isText) && optional(value['lineage'], isTexts) &&
  isTexts(value['owners']) && Array.isArray(value['approvals']) && value['approvals'].every(isApproval);

const isReviewRule = (value: unknown): boolean => isJsonObject(value) && isText(value['by']) && isCount(value['withinMs']) && isTexts(value['alerts']);

const isGrant = (value: JsonObject): boolean =>
  value['version'] === 1 && isCore(value) && isText(value['realm']) && isText(value['epoch']) && isText(value['issuedBy']) &&
  isInstant(value['issuedAt']) && typeof value['direct'] === 'boolean' && isText(value['justification']) && isText(value['tier']) &&
  optional(value['root'], isCount) && optional(value['requestedBy'], isText) && optional(value['uses'], isCount) && optional(value['reference'], isText) && optional(value['review'], isReviewRule) &&
  Array.isArray(value['chain']) && value['chain'].every(isCore);

const isTask = (value: JsonObject): boolean =>
  value['version'] === 1 && isText(value['id']) && isText(value['kind']) && isText(value['owner']) && isText(value['openedBy']) &&
  isInstant(value['openedAt']) && ['open', 'paused', 'closed'].includes(value['state'] as string) && isInstant(value['deadline']) &&
  optional(value['heartbeatMs'], (ms) => isCount(ms) && ms !== 0) && optional(value['lastBeatAt'], isInstant) && optional(value['closedBecause'], (cause) => (OVER_BY_TIME as readonly unknown[]).includes(cause)) && optional(value['reference'], isText);

const isFloor = (value: unknown): boolean => isJsonObject(value) && isCount(value['sequence']) && isInstant(value['at']);

const isEnding = (value: JsonObject): boolean =>
  value['version'] === 1 && isText(value['selector']) && optional(value['revocation'], isText) && optional(value['floor'], isFloor) && optional(value['honours'], isTexts) &&
  Array.isArray(value['suspensions']) && value['suspensions'].every((suspension) => isJsonObject(suspension) && isText(suspension['id']));

const reader = <T>(check: (value: JsonObject) => boolean): ((value: JsonObject) => T | undefined) => {
  const understood = new WeakSet<JsonObject>();
  return (value) => {
    if (!understood.has(value)) {
      if (!check(value)) return undefined;
      understood.add(value);
    }
    return value as unknown as T;
  };
};

export const readGrant = reader<Grant>(isGrant);
export const readTask = reader<Task>(isTask);
export const readEnding = reader<EndingRecord>(isEnding);

/** The count of a `uses/` record; an unreadable one counts as used up. */
export const readUses = (value: JsonObject | undefined): number => {
  if (value === undefined) return 0;
  const count = value['count'];
  return typeof count === 'number' && isCount(count) ? count : Number.POSITIVE_INFINITY;
};
