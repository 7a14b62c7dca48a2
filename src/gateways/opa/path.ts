/** Paths of documents: from a URL, and from a query that is nothing but a reference. One document has one path here, however it was written. */

const STEP = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}/\\*]{1,256}$/u;
const STEPS_MAX = 32;

const joined = (steps: readonly string[]): string | undefined =>
  steps.length > 0 && steps.length <= STEPS_MAX && steps.every((step) => STEP.test(step) && step !== '.' && step !== '..') ? steps.join('/') : undefined;

/** Of all documents together; no other one has this path. */
export const ROOT = '';

/** As OPA reads it: empty segments don't count. `undefined`: no document has such a path. */
export const documentPath = (text: string): string | undefined => {
  try {
    const steps = text.split('/').filter((part) => part !== '');
    return steps.length === 0 ? ROOT : joined(steps.map(decodeURIComponent));
  } catch {
    return undefined;
  }
};

const REFERENCE = /^(?:([A-Za-z_][A-Za-z0-9_]*)\s*:?=\s*)?data((?:\.[A-Za-z_][A-Za-z0-9_]*|\["(?:[^"\\]|\\["\\/])*"\])*)$/;
const STEPS = /\.([A-Za-z_][A-Za-z0-9_]*)|\["((?:[^"\\]|\\["\\/])*)"\]/g;

export interface Reference {
  readonly path: string;
  /** Of `x := data.a.b`. */
  readonly variable?: string;
}

/** `data`, `data.a.b`, `data.a["b"]`, `x := data.a.b`; `undefined` for any other query. */
export const dataReference = (query: string): Reference | undefined => {
  const match = REFERENCE.exec(query.trim());
  if (match === null) return undefined;
  const path = match[2] === '' ? ROOT : joined([...(match[2] as string).matchAll(STEPS)].map(([, name, quoted]) => name ?? (quoted as string).replaceAll(/\\(.)/g, '$1')));
  return path === undefined ? undefined : { path, ...(match[1] === undefined ? {} : { variable: match[1] }) };
};

/** Does `pattern` (a path, or one that ends in `/**`) cover `path`? */
export const pathMatches = (pattern: string, path: string): boolean =>
  pattern.endsWith('/**') ? path === pattern.slice(0, -3) || path.startsWith(pattern.slice(0, -2)) : path === pattern;
