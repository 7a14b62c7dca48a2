/** `curfew policy shadow`: what a running Curfew has counted about the candidate in its shadow. */
import type { JsonObject } from '../../domain/json.ts';
import { Failed } from '../api-client.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { asJson, plain, table } from '../print.ts';

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of one metric, as Prometheus exposes them. Its labels here hold reasons, revisions and digests: nothing with quotes. */
export const samplesOf = (text: string, name: string): readonly Sample[] =>
  text.split('\n').flatMap((line) => {
    const [, labels = '', value = ''] = new RegExp(`^${name}\\{([^}]*)\\} (\\S+)$`).exec(line) ?? [];
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', label = '']) => [key, label] as const);
    return value === '' ? [] : [{ labels: Object.fromEntries(pairs), value: Number(value) }];
  });

const readMetrics = async (run: Run, server: string): Promise<string> => {
  try {
    const response = await run.deps.fetch(new URL('/metrics', server), { redirect: 'error' });
    if (response.ok) return await response.text();
  } catch {
    // Told below.
  }
  throw new Failed(EXIT.unavailable, `${server} does not give its metrics`);
};

export const shadowCommand = async (run: Run, server: string, json: boolean): Promise<void> => {
  const text = await readMetrics(run, server);
  const [bundle] = samplesOf(text, 'curfew_shadow_bundle').filter(({ value }) => value === 1);
  const counted = samplesOf(text, 'curfew_shadow_decisions_total')
    .map(({ labels, value }): JsonObject => ({ result: labels['result'], active: labels['active'], candidate: labels['candidate'], decisions: value }))
    .toSorted((a, b) => Number(b['result'] === 'different') - Number(a['result'] === 'different') || Number(b['decisions']) - Number(a['decisions']));
  const skipped = Object.fromEntries(samplesOf(text, 'curfew_shadow_skipped_total').map(({ labels, value }) => [labels['cause'] ?? '', value]));
  if (bundle === undefined && counted.length === 0) throw new Failed(EXIT.unavailable, 'no candidate is in the shadow (policy.shadow)');
  const differing = counted.some(({ result }) => result === 'different');
  run.exitCode = differing ? EXIT.refused : EXIT.ok;
  if (json) return run.deps.stdout(asJson({ ...(bundle === undefined ? {} : { bundle: bundle.labels }), decisions: counted, skipped }));
  run.deps.stdout(`${bundle === undefined ? 'no candidate now; what was counted before:' : `candidate ${plain(bundle.labels['revision'] ?? '')}`}\n`);
  run.deps.stdout(counted.length === 0 ? 'nothing judged yet\n' : table(counted, [['RESULT', 'result'], ['ACTIVE', 'active'], ['CANDIDATE', 'candidate'], ['DECISIONS', 'decisions']]));
  for (const [cause, count] of Object.entries(skipped)) run.deps.stdout(`not judged, ${cause}: ${count}\n`);
};
