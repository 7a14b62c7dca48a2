/** What a schema has against a document, in words for people: unknown members with the name that was probably meant. */
import type { z } from 'zod';
import { nearest } from './nearest.ts';
import { knownKeysAt, type SchemaNode } from './schema-tree.ts';

type Issue = z.core.$ZodIssue;

export interface SchemaFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Of the variants of a union, the one that was most likely meant: whose fixed values fit, then with the fewest faults. */
const likeliest = (variants: readonly (readonly Issue[])[]): readonly Issue[] => {
  const distance = (issues: readonly Issue[]): number =>
    issues.reduce((sum, issue) => sum + (issue.code === 'invalid_value' ? 100 : issue.code === 'invalid_type' && issue.path.length === 0 ? 50 : 1), 0);
  return variants.toSorted((a, b) => distance(a) - distance(b))[0] ?? [];
};

const describe = (issue: Issue, root: SchemaNode, base: readonly PropertyKey[]): readonly SchemaFault[] => {
  const path = [...base, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeysAt(root, path);
    return issue.keys.map((key) => {
      const meant = nearest(key, known);
      return { path: [...path, key], message: `unknown setting${meant === undefined ? '' : `; did you mean \`${meant}\`?`}` };
    });
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) return likeliest(issue.errors).flatMap((inner) => describe(inner, root, path));
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) return [{ path, message: 'is required' }];
  return [{ path, message: issue.message.replace(/^Invalid (?:input|option): /, '') }];
};

/** `root` is the schema's `schemaTree`. */
export const schemaFaults = (error: { readonly issues: readonly Issue[] }, root: SchemaNode): readonly SchemaFault[] =>
  error.issues.flatMap((issue) => describe(issue, root, []));
