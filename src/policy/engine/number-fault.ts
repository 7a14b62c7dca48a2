/** Numbers of a result that a double would change: OPA has their digits, so that giving them rounded would be a wrong answer. */
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { decimalOf } from '../rego/number.ts';
import { isRegoNumber, readRegoValue, type RegoValue } from '../rego/value.ts';

/** Fewer digits than this, without an exponent, always fit. */
const SUSPECT = /\d{16}|\d[.\d]*[eE]/;

const isExact = (value: RegoValue): boolean => {
  if (isRegoNumber(value)) {
    if (typeof value === 'number') return true;
    const [own, rounded] = [decimalOf(value), Number(typeof value === 'bigint' ? value : value.digits)];
    if (!Number.isFinite(rounded)) return false;
    const given = decimalOf(rounded);
    return own.coefficient === given.coefficient && own.exponent === given.exponent;
  }
  if (typeof value !== 'object' || value === null) return true;
  if (value instanceof Map) return [...(value as ReadonlyMap<RegoValue, RegoValue>)].every(([key, inner]) => isExact(key) && isExact(inner));
  return [...(value as Iterable<RegoValue>)].every(isExact);
};

/** Is there a number in it? Names of members are none. */
export const hasNumber = (value: JsonValue | undefined): boolean => {
  if (typeof value !== 'object' || value === null) return typeof value === 'number';
  return (Array.isArray(value) ? (value as readonly JsonValue[]) : Object.values(value as JsonObject)).some(hasNumber);
};

/** `undefined`, or a predicate; `text` is a result set as the module writes it. Costs one search for most results. */
export const numberFault = (text: string): string | undefined =>
  SUSPECT.test(text) && !isExact(readRegoValue(text)) ? 'has a number that can not be given with all its digits' : undefined;
