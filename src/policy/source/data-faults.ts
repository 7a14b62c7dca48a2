/** Where data files are not JSON or YAML. OPA's loader names the file only. */
import { parseDocument } from 'yaml';
import { isDataFile } from '../bundle/entry-name.ts';
import type { ToolchainFault } from '../toolchain/fault.ts';
import type { Sources } from '../toolchain/toolchain.ts';

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** What is wrong as YAML, which JSON is nearly all of. */
const faultOf = (file: string, text: string): ToolchainFault | undefined => {
  const asJson = file.endsWith('.json') || file === '.manifest';
  if (asJson && isJson(text)) return undefined;
  const [error] = parseDocument(text, { prettyErrors: true, uniqueKeys: false }).errors;
  if (error === undefined && !asJson) return undefined;
  const place = error?.linePos?.[0];
  const why = error === undefined ? '' : `: ${(error.message.split(/ at line \d+/)[0] ?? '').trim()}`;
  return { code: 'data_parse_error', message: `is not ${asJson ? 'JSON' : 'YAML'}${why}`, file, ...(place === undefined ? {} : { row: place.line, col: place.col }) };
};

export const dataFaults = (sources: Sources): readonly ToolchainFault[] =>
  Object.entries(sources).flatMap(([file, text]) => (isDataFile(file) || file === '.manifest' ? (faultOf(file, text) ?? []) : []));
