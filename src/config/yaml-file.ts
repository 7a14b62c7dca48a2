/** One YAML document of limited size, strictly: duplicate keys are faults, and every place in it has a line. */
import { isMap, LineCounter, parseDocument, type Document } from 'yaml';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { ConfigFault } from './fault.ts';

const FILE_CHARS_MAX = 4 * 1_048_576;

export interface YamlFile {
  readonly value: JsonObject;
  readonly faults: readonly ConfigFault[];
  /** Where a member is written; one that is not there is where its parent is. */
  readonly lineOf: (path: readonly PropertyKey[]) => number | undefined;
}

const lineFinder = (document: Document, lines: LineCounter): YamlFile['lineOf'] => (path) => {
  // A missing or unknown member is at its own key if it is written, else where its parent is.
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true) ?? (length === 1 ? document.contents : undefined);
    const last = path[length - 1];
    const pair = isMap(parent) ? parent.items.find(({ key }) => String(key) === last) : undefined;
    const node = (pair?.key ?? document.getIn(path.slice(0, length), true)) as { range?: readonly [number, number, number] } | undefined;
    if (node?.range !== undefined) return lines.linePos(node.range[0]).line;
  }
  return undefined;
};

/** With faults, the value is empty. */
export const readYaml = ({ name, text }: { readonly name: string; readonly text: string }): YamlFile => {
  const nothing = { value: {}, lineOf: () => undefined };
  if (text.length > FILE_CHARS_MAX) return { ...nothing, faults: [{ where: name, path: '', message: 'is too large' }] };
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, prettyErrors: false });
  const faults = document.errors.map(({ message, pos }) => ({ where: `${name}:${lines.linePos(pos[0]).line}`, path: '', message }));
  if (faults.length > 0) return { ...nothing, faults };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch {
    return { ...nothing, faults: [{ where: name, path: '', message: 'has too many aliases' }] };
  }
  if (!isJsonObject(value)) return { ...nothing, faults: [{ where: `${name}:1`, path: '', message: 'must be a mapping of settings' }] };
  return { value, faults, lineOf: lineFinder(document, lines) };
};
