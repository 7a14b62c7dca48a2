/** One text for one value: members sorted by name, absent ones left out. For digests and for comparing. */
import { isJsonObject, type JsonValue } from '../domain/json.ts';

export const canonicalJson = (value: JsonValue): string => {
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort().flatMap((name) => {
    const member = value[name];
    return member === undefined ? [] : [`${JSON.stringify(name)}:${canonicalJson(member)}`];
  });
  return `{${members.join(',')}}`;
};
