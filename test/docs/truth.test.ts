import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import { leavesOf, schemaTree, variantsOf, type SchemaNode } from '../../src/config/schema-tree.ts';
import { variableName } from '../../src/config/variables.ts';
import { ALERT_TYPES } from '../../src/domain/alert.ts';
import { EVENT_TYPES } from '../../src/domain/event-types.ts';
import { REASONS } from '../../src/domain/reasons.ts';
import { COMMANDS } from '../../src/domain/lifecycle/roles.ts';
import { SELECTOR_KINDS } from '../../src/domain/selector.ts';
import { repositoryRoot } from '../parts.ts';
import { allDocuments, codeSpansOf, linksOf, parseMarkdown, type Document } from './markdown.ts';

const documents = allDocuments();
const byPath = new Map(documents.map((document) => [document.path, document]));
const { scripts } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

const brokenLinks = (document: Document, known: (path: string) => Document | undefined): readonly string[] =>
  linksOf(document).flatMap((target) => {
    if (/^(?:https?|mailto):/.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? document.path : normalize(join(dirname(document.path), path));
    if (file.startsWith('..') || !existsSync(join(repositoryRoot, file))) return [`${document.path}: ${target}`];
    return anchor === undefined || known(file)?.anchors.has(anchor) !== false ? [] : [`${document.path}: ${target}`];
  });

describe('links between documents', () => {
  test('lead to files and headings that are there', () => {
    expect(documents.length).toBeGreaterThan(10);
    expect(documents.flatMap((document) => brokenLinks(document, (path) => byPath.get(path)))).toEqual([]);
  });
  test('positive control: a broken one is found', () => {
    const bad = parseMarkdown('docs/adr/README.md', '# A b\n[a](#a-b) [b](#c) [d](nowhere.md) [e](../../README.md) [f](../../../x) `[g](h)`');
    expect(brokenLinks(bad, () => bad)).toEqual(['#c', 'nowhere.md', '../../../x'].map((target) => `docs/adr/README.md: ${target}`));
  });
  test('every guide and reference is reachable from the README', () => {
    const reached = new Set(['README.md']);
    for (const path of reached) {
      const document = byPath.get(path);
      if (document !== undefined) for (const target of linksOf(document)) reached.add(normalize(join(dirname(path), target.split('#')[0] ?? '')));
    }
    expect(documents.map(({ path }) => path).filter((path) => path.startsWith('docs/') && !reached.has(path))).toEqual([]);
  });
});

const tree = schemaTree(configSchema);
const variables = new Set(leavesOf(tree).map(({ path }) => variableName(path)));
/** Does a setting path, such as `limits.drainMs` or `peps.hosts` (of each member of a list), exist? */
const isSetting = (path: string): boolean => {
  const within = (node: SchemaNode): readonly SchemaNode[] => variantsOf(node).flatMap((one) => (one.items === undefined ? [one] : within(one.items)));
  let nodes = within(tree);
  for (const name of path.replaceAll('[]', '').split('.')) {
    nodes = nodes.flatMap(({ properties, additionalProperties: other }) =>
      properties !== undefined && Object.hasOwn(properties, name) ? within(properties[name] as SchemaNode) : typeof other === 'object' ? within(other) : []);
  }
  return nodes.length > 0;
};
const SECTIONS = Object.keys(configSchema.shape).join('|');

/** Names in backticks that look like ours and are not: files, npm scripts, variables, settings, reasons. */
const untrueSpans = ({ path, ...document }: Document): readonly string[] =>
  codeSpansOf({ path, ...document }).flatMap((span) => {
    const wrong = `${path}: \`${span}\``;
    if (/^(?:src|test|docs|deploy|scripts|bundles|policies|toolchain|bench)\/[\w./-]*$/.test(span)) return existsSync(join(repositoryRoot, span)) ? [] : [wrong];
    const script = /^npm run ([a-z:]+)/.exec(span)?.[1];
    if (script !== undefined) return Object.hasOwn(scripts, script) ? [] : [wrong];
    if (/^CURFEW_[A-Z0-9_]+$/.test(span)) return variables.has(span) || /^CURFEW_(?:CONFIG|SERVER|TOKEN|REALM)$/.test(span) ? [] : [wrong];
    if (new RegExp(String.raw`^(?:${SECTIONS}|request|pep|realm|clock|credential|subject|grant|task|obligation|facts|claim|decision)(?:\[\])?\.[A-Za-z_.[\]-]+$`).test(span)) {
      return isSetting(span) || REASONS.some((reason) => reason === span)
        || COMMANDS.some((command) => command === span) || EVENT_TYPES.some((type) => type === span) || ALERT_TYPES.some((type) => type === span) || span === 'http.send' || /\.(?:json|rego|yaml|ts|md)$/.test(span) ? [] : [wrong];
    }
    return [];
  });

const OWN = documents.filter(({ path }) => !path.startsWith('docs/adr/') && !path.startsWith('third_party/'));

describe('what documents name exists', () => {
  test('files, npm scripts, variables, settings and reasons in backticks', () => {
    expect(OWN.flatMap(untrueSpans)).toEqual([]);
    expect(['limits.decisionDeadlineMs', 'peps[].hosts', 'identity.issuers.bundle.file', 'http.tls'].filter(isSetting)).toHaveLength(4);
  });
  test('positive control: what does not exist is found', () => {
    const bad = parseMarkdown('x.md', '`src/nowhere.ts` `npm run fly` `CURFEW_NOPE` `limits.nope` `grant.nope` `grant.none` `limits.drainMs` `src/domain/` `npm run build`');
    expect(untrueSpans(bad)).toHaveLength(5);
  });
  test('every kind of selector is explained in semantics.md', () => {
    const spans = codeSpansOf(byPath.get('docs/reference/semantics.md')!);
    expect(SELECTOR_KINDS.filter((kind) => !spans.includes(kind))).toEqual([]);
  });
});

describe('YAML in documents', () => {
  const blocks = OWN.flatMap((document) => document.blocks.filter(({ language }) => language === 'yaml').map((block) => ({ at: `${document.path}:${block.line}`, ...block })));
  test('is well-formed, and where it is configuration of Curfew it is valid', () => {
    const wrong = blocks.flatMap(({ at, text, words }) => {
      const [name] = words;
      const ours = name === undefined ? !at.startsWith('deploy/') : /curfew[^/]*\.yaml$/.test(name);
      if (!ours) return parseAllDocuments(text).flatMap(({ errors }) => errors.map(({ message }) => `${at}: ${message}`));
      const loaded = loadConfig({ env: {}, flags: {}, file: { name: at, text } });
      return loaded.ok ? [] : loaded.faults.map((fault) => `${fault.where} ${fault.path}: ${fault.message}`);
    });
    expect(wrong).toEqual([]);
  });
});
