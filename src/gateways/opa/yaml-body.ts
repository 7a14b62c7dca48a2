/**
 * A body in YAML, as one JSON value. OPA reads YAML 1.1, most else 1.2: what the two read differently (`yes`, `0o17`, `017`, `1:30`) has two readings
 * and is refused, as are aliases, anchors, tags, repeated keys, more than one document, and what JSON has no value for.
 */
import { isAlias, isNode, isPair, isScalar, parseAllDocuments, visit, type Document } from 'yaml';
import type { JsonValue } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';

/** Longer ones would hold up decisions while they are parsed, at some microseconds a byte. */
export const YAML_BYTES_MAX = 8_192;

const isPlain = (document: Document): boolean => {
  let plain = true;
  visit(document, (_key, node) => {
    if (isPair(node)) {
      // A key that is no text would become one.
      if (isScalar(node.key) && typeof node.key.value === 'string') return undefined;
      plain = false;
    } else if (isAlias(node) || (isNode(node) && (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')))) plain = false;
    else if (isNode(node) && 'anchor' in node && node.anchor !== undefined) plain = false;
    else if (isScalar(node) && ((typeof node.value === 'number' && !(Math.abs(node.value) <= Number.MAX_SAFE_INTEGER)) || !['string', 'number', 'boolean', 'object'].includes(typeof node.value) || (typeof node.value === 'object' && node.value !== null))) plain = false;
    return plain ? undefined : visit.BREAK;
  });
  return plain;
};

const read = (text: string, version: '1.1' | '1.2'): string | undefined => {
  const documents = parseAllDocuments(text, { version, uniqueKeys: true, strict: true, prettyErrors: false, merge: false, logLevel: 'silent' });
  const [document] = documents;
  if (!Array.isArray(documents) || documents.length !== 1 || document === undefined) return undefined;
  if (document.errors.length > 0 || document.warnings.length > 0 || document.directives?.yaml.explicit === true || !isPlain(document)) return undefined;
  return JSON.stringify(document.toJS({ maxAliasCount: 0 }));
};

/** `undefined`: it can't be read, or in more than one way. Never throws. */
export const parseYamlBody = (text: string): JsonValue | undefined => {
  if (Buffer.byteLength(text) > YAML_BYTES_MAX) return undefined;
  try {
    const json = read(text, '1.2');
    return json === undefined || json !== read(text, '1.1') ? undefined : parseStrictJson(json);
  } catch {
    return undefined;
  }
};
