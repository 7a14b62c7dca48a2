/** A Rego value as the JSON that OPA gives to callers: sets are sorted arrays, keys that are no strings are their JSON. */
import { sortedUnique } from './order.ts';
import { writeRegoValue, type RegoObject, type RegoSet, type RegoValue } from './value.ts';

export const jsonText = (value: RegoValue): string => {
  if (Array.isArray(value)) return `[${(value as readonly RegoValue[]).map(jsonText).join(',')}]`;
  if (value instanceof Set) return `[${sortedUnique(value as RegoSet).map(jsonText).join(',')}]`;
  if (value instanceof Map) {
    const members = [...(value as RegoObject)].map(([key, inner]) => `${JSON.stringify(typeof key === 'string' ? key : jsonText(key))}:${jsonText(inner)}`);
    return `{${members.join(',')}}`;
  }
  return writeRegoValue(value);
};
