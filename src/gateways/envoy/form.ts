/** `application/x-www-form-urlencoded`, as Go's `url.ParseQuery` reads it (which opa-envoy-plugin uses). */

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
};

/**
 * Name to values, in order of appearance; an object without a prototype. `undefined` for what can be read in more than one way or
 * not at all: a semicolon, a bad escape, bytes that are not UTF-8, or more than `maxParts` members.
 */
export const parseForm = (text: string, maxParts: number): Readonly<Record<string, readonly string[]>> | undefined => {
  const form = Object.create(null) as Record<string, string[]>;
  if (text === '') return form;
  const parts = text.split('&', maxParts + 1);
  if (parts.length > maxParts) return undefined;
  for (const part of parts) {
    if (part === '') continue;
    if (part.includes(';')) return undefined;
    const equals = part.indexOf('=');
    const name = decode(equals < 0 ? part : part.slice(0, equals));
    const value = decode(equals < 0 ? '' : part.slice(equals + 1));
    if (name === undefined || value === undefined) return undefined;
    (form[name] ??= []).push(value);
  }
  return form;
};
