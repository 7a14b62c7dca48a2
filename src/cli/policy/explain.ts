/** `curfew policy explain`: why a decision came out as it did, down to the rules, by OPA's evaluator on the same input. */
import { sameUnderMasks, createRedactor } from '../../audit/redact.ts';
import { recordedOutcome } from '../../decision/rejudge.ts';
import { fromRfc3339 } from '../../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { readSources } from '../../policy/toolchain/read-sources.ts';
import type { Sources } from '../../policy/toolchain/toolchain.ts';
import type { ApiClient } from '../api-client.ts';
import type { Run } from '../context.ts';
import { asJson, fit } from '../print.ts';
import { readExplained, type Explained, type ExplainFrom } from './explain-facts.ts';
import { explainText, type Explanation } from './explain-text.ts';
import { withToolchain } from './session.ts';
import { withSkipped } from './skipped-rules.ts';
import { traceTree, type TracedRule } from './trace-tree.ts';

export interface ExplainOptions extends ExplainFrom {
  readonly entrypoint?: string;
  /** OPA's own trace too. */
  readonly trace?: boolean;
  readonly redactHeader?: readonly string[];
  readonly at?: string;
  readonly json?: boolean;
}

const COLUMNS = 120;
const DEFAULT_ENTRYPOINT = 'curfew/access/decision';

const queryOf = (rule: string): string => `data${rule.split('/').map((part) => `[${JSON.stringify(part)}]`).join('')}`;

/** Traces shorten the names of files. */
const fileOf = (sources: Sources, name: string): string | undefined =>
  Object.hasOwn(sources, name) ? name : Object.keys(sources).find((file) => file.endsWith(`/${name}`) || (name.startsWith('...') && file.endsWith(name.slice(3))));

export type PlacedRule = Omit<TracedRule, 'failedAt' | 'children'> & {
  /** Where it begins, in the source. */
  readonly line: string;
  readonly failed: readonly { readonly row: number; readonly line: string }[];
  readonly children: readonly PlacedRule[];
  /** Left out before it was tried: one of its comparisons with the input can't hold. */
  readonly skipped?: boolean;
};

const withLines = (sources: Sources) => (rule: TracedRule): PlacedRule => {
  const { failedAt, children, ...rest } = rule;
  const file = fileOf(sources, rule.file);
  const lines = file === undefined ? [] : (sources[file] ?? '').split('\n');
  const lineAt = (row: number): string => (lines[row - 1] ?? '').trim();
  return { ...rest, file: file ?? rule.file, line: lineAt(rule.row), failed: failedAt.map((row) => ({ row, line: lineAt(row) })), children: children.map(withLines(sources)) };
};

const nowOf = ({ input }: Explained, at: string | undefined): number | undefined => {
  const curfew = input['curfew'];
  if (at !== undefined) return fromRfc3339(at);
  return isJsonObject(curfew) && typeof curfew['now_ms'] === 'number' ? curfew['now_ms'] : undefined;
};

/** Do the sources say what is on record? `undefined` when nothing is, or when it can't be told. */
const agrees = ({ record }: Explained, result: JsonValue | undefined): boolean | undefined => {
  const recorded = record === undefined ? undefined : recordedOutcome(record);
  if (recorded === undefined || recorded.kind === 'failed') return undefined;
  return recorded.kind === 'undefined' ? result === undefined : sameUnderMasks(recorded.value, result);
};

export const explainCommand = async (run: Run, folder: string, client: () => ApiClient, options: ExplainOptions): Promise<void> => {
  const redactHeaders = options.redactHeader ?? [];
  const explained = await readExplained(run, client, options, redactHeaders);
  const entrypoint = options.entrypoint ?? explained.record?.policy.entrypoint ?? DEFAULT_ENTRYPOINT;
  await withToolchain(run, folder, async (toolchain) => {
    const sources = readSources(folder);
    const nowMs = nowOf(explained, options.at);
    const asked = isJsonObject(explained.input['curfew']) || explained.record === undefined;
    const { result: said, trace = '' } = asked
      ? await toolchain.evaluate(sources, { query: queryOf(entrypoint), input: explained.input, explain: 'full', ...(nowMs === undefined ? {} : { nowMs }) })
      : { result: undefined, trace: '' };
    const result = createRedactor(redactHeaders)({ result: said })['result'];
    const agree = asked ? agrees(explained, result) : undefined;
    const explanation: Explanation = {
      ...explained, folder, entrypoint, asked, rules: withSkipped(sources, traceTree(trace).map(withLines(sources))),
      ...(result === undefined ? {} : { result }),
      ...(agree === undefined ? {} : { agrees: agree }),
    };
    const lines = trace.split('\n').map((line) => line.trimEnd()).filter((line) => line !== '');
    if (options.json === true) {
      const { rules, ...rest } = explanation;
      run.deps.stdout(asJson({ ...(rest as unknown as JsonObject), rules: rules as unknown as JsonValue, ...(options.trace === true ? { trace: lines } : {}) }));
      return;
    }
    run.deps.stdout(explainText(explanation, COLUMNS));
    if (options.trace === true) run.deps.stdout(`\ntrace\n${lines.map((line) => `${fit(line.replace(/ {3,}\{/, '  {').replace(/^(\S+)\s{2,}/, '$1  '), COLUMNS)}\n`).join('')}`);
  });
};
