/** Where data files are not JSON or YAML. OPA's loader names the file only, and JavaScript's not even the place. */
import { isJson } from '../../domain/json.ts';
import { parseDocument } from 'yaml';
import { isDataFile } from '../bundle/entry-name.ts';
import type { ToolchainFault } from '../toolchain/fault.ts';
import type { Sources } from '../toolchain/toolchain.ts';

// eslint-disable-next-line no-control-regex
const SCALAR = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const BLANKS = /[ \t\n\r]*/y;

/** Offset of the first character that JSON can't have there. */
const jsonFaultAt = (text: string): number => {
  let at = 0;
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    at += found?.[0].length ?? 0;
    return found !== null;
  };
  const take = (char: string): boolean => {
    skip(BLANKS);
    if (text[at] !== char) return false;
    at += 1;
    return true;
  };
  const members = (close: string, member: () => boolean): boolean => {
    if (take(close)) return true;
    do if (!member()) return false;
    while (take(','));
    return take(close);
  };
  const value = (): boolean => {
    if (take('{')) return members('}', () => skip(BLANKS) && text[at] === '"' && skip(SCALAR) && take(':') && value());
    return take('[') ? members(']', value) : skip(SCALAR);
  };
  if (value()) skip(BLANKS);
  return at;
};

const jsonFault = (text: string): Pick<ToolchainFault, 'message' | 'row' | 'col'> | undefined => {
  if (isJson(text)) return undefined;
  const at = jsonFaultAt(text);
  const before = text.slice(0, at);
  const found = text.codePointAt(at);
  return {
    message: `is not JSON: ${found === undefined ? 'it ends too early' : `unexpected ${JSON.stringify(String.fromCodePoint(found))}`}`,
    row: before.split('\n').length,
    col: at - before.lastIndexOf('\n'),
  };
};

const yamlFault = (text: string): Pick<ToolchainFault, 'message' | 'row' | 'col'> | undefined => {
  const [error] = parseDocument(text, { uniqueKeys: false }).errors;
  if (error === undefined) return undefined;
  const place = error.linePos?.[0];
  return { message: `is not YAML: ${(error.message.split(/ at line \d+/)[0] ?? '').trim()}`, ...(place === undefined ? {} : { row: place.line, col: place.col }) };
};

export const dataFaults = (sources: Sources): readonly ToolchainFault[] =>
  Object.entries(sources).flatMap(([file, text]) => {
    if (!isDataFile(file) && file !== '.manifest') return [];
    const fault = /\.ya?ml$/.test(file) ? yamlFault(text) : jsonFault(text);
    return fault === undefined ? [] : [{ code: 'data_parse_error', file, ...fault }];
  });
