/** What a bench found, as data: printed as tables, kept in `bench/results/`, and made into docs/reference/performance.md. */
import type { Conditions, Shape } from './machine.ts';

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly note?: string;
}

export interface Goal {
  readonly goal: string;
  readonly measured: string;
  readonly met: boolean;
  /** What stands in the way, where it is not met. */
  readonly limit?: string;
}

/** A picture beside the page. */
export interface Plot {
  readonly file: string;
  readonly alt: string;
  readonly svg: string;
}

export interface Findings {
  readonly plots?: readonly Plot[];
  readonly tables: readonly Table[];
  readonly goals: readonly Goal[];
}

export interface Results extends Findings {
  readonly bench: string;
  readonly command: string;
  /** Day on which it ran, `YYYY-MM-DD`. */
  readonly date: string;
  readonly machine: Shape;
  readonly before: Conditions;
  readonly after: Conditions;
}

export const micros = (value: number): string => (value < 100 ? value.toFixed(1) : value.toFixed(0));
export const millis = (value: number): string => value.toFixed(2);
export const times = (value: number): string => `${value.toFixed(2)} x`;
export const perSecond = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
export const count = perSecond;

const busy = ({ busyCores }: Conditions): string => (busyCores === null ? 'unknown' : busyCores.toFixed(2));

export const conditionsTable = ({ before, after }: Results): Table => ({
  title: 'Conditions',
  columns: ['', 'before', 'after'],
  rows: [
    ['calibration loop, ms', before.calibrationMs.toFixed(1), after.calibrationMs.toFixed(1)],
    ['busy cores while this bench waited', busy(before), busy(after)],
    ['load average, 1 min (after: this bench included)', before.load.toFixed(2), after.load.toFixed(2)],
  ],
});

export const goalsTable = ({ goals }: Findings): Table => ({
  title: 'Goals',
  columns: ['goal', 'measured', 'met', 'what limits it'],
  rows: goals.map(({ goal, measured, met, limit }) => [goal, measured, met ? 'yes' : 'no', met ? '' : (limit ?? '')]),
});

export const asText = ({ title, columns, rows, note }: Table): string => {
  const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((row) => (row[index] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0))).join('  ').trimEnd();
  return [`\n${title}`, line(columns), ...rows.map(line), ...(note === undefined ? [] : [note])].join('\n');
};

const cellOf = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

export const asMarkdown = ({ title, columns, rows, note }: Table): string =>
  [
    `### ${title}\n`,
    `| ${columns.map(cellOf).join(' | ')} |`,
    `| ${columns.map((_, index) => (index === 0 ? '---' : '---:')).join(' | ')} |`,
    ...rows.map((row) => `| ${row.map(cellOf).join(' | ')} |`),
    ...(note === undefined ? [] : [`\n${note}`]),
    '',
  ].join('\n');
