/** Runs timelines from text, as the command does, against the committed bundle or a policy of the test's. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TimelineResult } from '../../src/cli/policy/timelines.ts';
import type { Policy } from '../../src/decision/ports.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { runTimeline } from '../../src/timeline/run-timeline.ts';
import { repositoryRoot } from '../parts.ts';

let committed: Promise<Policy> | undefined;
export const defaultPolicy = (): Promise<Policy> =>
  (committed ??= loadPolicy(readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz')), { entrypoints: ['curfew/access/decision'] }));

export const tell = (text: string, policy: Promise<Policy> = defaultPolicy()): Promise<TimelineResult> => runTimeline({ name: 'x.timeline.yaml', text }, () => policy);

/** A story about one workload, with a grant of ten minutes to read the knowledge base; `steps` come after it. */
export const story = (steps: string, { grant = '', head = '' } = {}): string => `title: a story
development: true
${head}
workloads: { agent: "spiffe://dev.example/agent" }
steps:
  - grant:
      name: read
      workload: agent
      model: time-boxed
      scopes: ["GET http:kb.local/articles/**"]
      ttl: 10m
      owner: team:support
      justification: reads
      reference: T-1
${grant}
${steps}`;

export const ASK = 'ask: { workload: agent, action: GET, resource: "http:kb.local/articles/1" }';
