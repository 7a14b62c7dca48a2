/** Answers for people and for programs. Nothing that came from a server can repaint the terminal: what is invisible is escaped. */
import { escapeInvisible } from '../domain/invisible.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';

// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f]/g;

/** One line of plain text. */
export const plain = (text: string): string =>
  escapeInvisible(text.replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`));

/** The API's own object, as it came. */
export const asJson = (value: JsonValue): string => `${escapeInvisible(JSON.stringify(value, null, 2))}\n`;

const cell = (value: JsonValue | undefined): string => {
  if (value === undefined || value === null) return '';
  return plain(typeof value === 'string' ? value : JSON.stringify(value));
};

/** A heading and the member it shows, or how it is made. */
export type Column = readonly [heading: string, value: string | ((item: JsonObject) => JsonValue | undefined)];

export const table = (items: readonly JsonObject[], columns: readonly Column[]): string => {
  if (items.length === 0) return '(none)\n';
  const rows = [
    columns.map(([heading]) => heading),
    ...items.map((item) => columns.map(([, value]) => cell(typeof value === 'string' ? item[value] : value(item)))),
  ];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}\n`).join('');
};

const lines = (value: JsonValue, indent: string): string => {
  if (isJsonObject(value)) {
    return Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => {
        const composed = (isJsonObject(member) && Object.keys(member).length > 0) || (Array.isArray(member) && member.some((item) => isJsonObject(item)));
        return composed ? `${indent}${plain(name)}:\n${lines(member, `${indent}  `)}` : `${indent}${plain(name)}: ${Array.isArray(member) ? member.map(cell).join(', ') : cell(member)}\n`;
      })
      .join('');
  }
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map((item) => `${indent}- ${isJsonObject(item) ? lines(item, `${indent}  `).trimStart() : `${cell(item)}\n`}`).join('');
  return `${indent}${cell(value)}\n`;
};

/** One object, member by member. */
export const details = (value: JsonObject): string => lines(value, '');

const scopeText = (item: JsonValue): string => {
  if (!isJsonObject(item) || !isJsonObject(item['resource']) || !Array.isArray(item['actions'])) return '';
  return `${item['actions'].join(',')} ${cell(item['resource']['type'])}:${cell(item['resource']['id'])}`;
};
export const scopesText = (item: JsonObject): string => (Array.isArray(item['scopes']) ? item['scopes'].map(scopeText).join('; ') : '');

/** One line of plain text, no longer than that many columns. */
export const fit = (text: string, columns: number): string => {
  const line = plain(text).trimEnd();
  return line.length <= columns ? line : `${line.slice(0, columns - 1)}…`;
};
