/** What profiles of a worker said, for the page; by hand, because a profile is read and not measured in rounds. */
export const WHERE_TIME_GOES = `## Where the time goes

Profiles of one worker under the load of \`npm run bench:http\` (\`--cpu-prof\`, 2026-11-28, on a machine that others kept busy: take the shares, and the
sums only as what was measured then). First sights of tokens and warming up are in it.

| part of a decision over HTTP | 1,000 grants and revocations | 1,000,000 |
| --- | ---: | ---: |
| the record: masked, encoded, handed to the kernel | 16 %, 39 us | 9 %, 35 us |
| the write to the socket | 16 %, 38 us | 14 %, 53 us |
| the policy: input, evaluation, result | 16 %, 36 us | 12 %, 48 us |
| node's HTTP server, streams, event loop | 12 %, 27 us | 9 %, 34 us |
| facts from the store | 10 %, 22 us | 19 %, 73 us |
| garbage | 7 %, 16 us | 8 %, 33 us |
| the question from its headers, the answer's headers | 9 %, 23 us | 6 %, 25 us |
| tokens seen for the first time | 1 %, 2 us | 9 %, 35 us |
| credential, judging grants, guard, counters, the rest of \`decide\` | 13 %, 30 us | 12 %, 55 us |
| together | 235 us | 392 us |

No part is large enough to reach five times an OPA server: without facts, policy and record together a decision still costs more than half. What grows with the store is facts that are not remembered, first
sights of tokens, and everything else by a third, because more memory is touched.

| tried | result |
| --- | --- |
| the program in a hundred files, the supervisor without gateways ([ADR 0032](../adr/0032-programs-start-from-few-files.md)) | 0.6 of the processor time until ready, kept |
| the same minified | no difference that could be measured, not kept |
| groups of ids that are not there ([ADR 0011](../adr/0011-what-a-process-remembers-of-the-store.md)) | p50 in process 107 to 88 us at 1,000,000, none at 1,000, kept |
| 12,000 tokens and 12 MiB of records instead of 8,000 and 16 MiB | 449 to 304 us over HTTP with 9,000 tokens in use (27 % were verified again before), the same memory, kept |
| 8 MiB of records | 366 to 499 us, memory the same: what heaps keep is mostly room between objects; not kept |
| denials without a stack | 6 us less a denial, kept |
| a reader of HTTP of our own ([ADR 0026](../adr/0026-http-is-read-by-node.md)) | 0.82 of the time, not kept |
`;
