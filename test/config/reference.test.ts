import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configReference } from '../../src/config/reference.ts';
import { leavesOf, nodesAt, schemaTree } from '../../src/config/schema-tree.ts';
import { configSchema } from '../../src/config/schema.ts';

test('docs/reference/configuration.md is what the schemas say (`npm run docs:config`)', () => {
  expect(readFileSync(new URL('../../docs/reference/configuration.md', import.meta.url), 'utf8')).toBe(configReference());
});

test('every setting, or the section it is in, is described', () => {
  const root = schemaTree(configSchema);
  const described = (path: readonly string[]): boolean => nodesAt(root, path).some(({ description }) => description !== undefined);
  const bare = leavesOf(root).filter(({ path, node }) => node.description === undefined && !described(path.slice(0, -1)));
  expect(bare.map(({ path }) => path.join('.'))).toEqual([]);
});
