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

The same by profile of one worker on a quiet machine (2026-11-29; 434 us a full decision over gRPC and 185 us the bare rule over \`/v1/data\`, sampling included):

| part | full, gRPC | bare rule, HTTP |
| --- | ---: | ---: |
| adapter: the question taken apart (protobuf or JSON), the answer made | 21 %, 90 us | 21 %, 39 us |
| credential, judging, guard, the rest of \`decide\` | 18 %, 78 us | 11 %, 21 us |
| node's streams, events, timers, and its HTTP/2 or HTTP | 16 %, 71 us | 16 %, 29 us |
| the policy | 13 %, 56 us | 9 %, 16 us |
| the record, metrics | 11 %, 49 us | 10 %, 18 us |
| the write to the socket, other native code, kernel | 6 %, 25 us | 21 %, 41 us |
| facts | 4 %, 19 us | 2 %, 3 us |
| garbage, not told apart | 11 %, 46 us | 10 %, 18 us |

So the bare rule costs what a request costs in node (half of it) and its record, which OPA does not write here; the rule itself is a tenth.

What all parts have in common is memory. Between two decisions lie a request read, an answer written and a record encoded, and each found the processor's caches full of the others. An echo over node's HTTP/2 takes 86 us of
processor time by itself, 120 where every call touches 256 KiB besides, 177 with 1 MiB, 197 with 2, 234 with 4; over HTTP/1.1 23, 43, 81, 94 and 145 (the touching itself not counted; twelve rounds in turn, 2026-11-29). That is why
gRPC cost most, whose code and documents are larger. With marks in the code, both in turn in the same minutes (24 rounds, 2026-11-29): 579 us of the main thread a decision over gRPC, 269 over HTTP. What is the same (credential,
facts, re-check) took 61 and 47; the policy 87 and 61, since Envoy's attributes are a larger input; the question read 59 and 19; the answer made and sent 56 and 45; the rest, transport and record, some 300 and 85. The collector
took 12 and 8. A new space that fits the second cache made it longer (1 MiB 1.19 x, 2 MiB 1.12 x), one of 16 MiB changed nothing.

Since then questions of one turn of the loop are decided together, stage by stage, and share the caches ([ADR 0042](../adr/0042-decisions-of-one-turn-are-made-together.md)). The main thread's time a decision beside the version before, in turn in
one run, 32 connections: full over HTTP 0.58 to 0.71, over gRPC 0.61, the bare rule 0.64 and 0.62. The two tables above are from before.

A worker of \`curfew serve\` is not dearer than the same decisions in a process by itself (four pairs in turn in the same minutes, 2026-11-29: 0.88 to 1.13 of each other; the main thread 248 to 293 us served, 240 to 286 alone). Without the decision log it
is 0.74 to 0.80 of that: its 50 us are the largest part that a node can do without. The kernel has 36 to 45 us of a decision in both; faults of pages (0.02 to 0.05 a decision) and switches of processes (at most 0.06) are too few to matter, and a heap of
16 MiB more of new space changes nothing (1.05, 94 MB in place of 77). The machine itself moves decisions by more than half while the calibration loop stays within 5 %: only what ran in turn can be compared.

In process, 1,000,000 grants and revocations, uniform (what is asked about is mostly not remembered): until the answer, facts take 60 %, the policy 32 %. Of facts, LMDB's five descents are 19 % of
the whole (the owner's list, and four endings that are not there), the list's checksum, JSON and rows 12 %, taking three grants apart 13 %, checking their shape for the first time 6 %. Of the
policy, writing its input is 20 %: the same input takes a third of that where the processor's caches hold it. So 60 us are reached at 1,000 (44 to 48) and not at 1,000,000.
What grows is grants: with 1,000 grants and 2,000,000 revocations the p50 in process was 43.4 us, with 1,000 of each 42.9 (nine interleaved rounds on a busy machine, ratio 1.04, 0.87 to 1.08).

What a worker holds after the rounds of \`npm run bench:memory\`: some 50 MB of JavaScript that lives (12,000 tokens 13, records 20, code and its texts 13), as much again of garbage not yet collected and room between objects,
16 MB of new space, 15 to 20 MB of other heaps.

What the hour of \`npm run bench:soak\` shows: workers fill for twenty minutes and then go up and down between 93 and 153 MB with their collections, so the slopes are near 0 and the goal of 5 MB an hour lies within their error. The supervisor
reads every record once in ten minutes, to drop what is over (100,000 grants and as many endings here): it has up to 253 MB then, most of it garbage, which is collected within two minutes. After these rounds it held
85.3, 91.9, 94.3, 95.2 and 96.1 MB. Its own heap, collected before each look, did not grow in a run beside it (27.0 MB, and 27.5 after 7,000 connections, 45,000 decisions and 78 grants that began and ended).

A revocation with Redis, strict, three nodes without load (80 of them, twice, a busy machine): 59.5 ms at the median. 50 are \`limits.maxFactsAgeMs\`, 2.4 until the operator is known and
the body read, 0.7 what is looked at before, 0.6 what the rule judges, 2.9 the commit with its flush to disk; connection and answer are the rest. The supervisor computes for 5.4 ms of it. Of the 9.5 ms beyond the 50, the
supervisor's thread waits for a processor 4 ms and Redis 2.5 (run queue, \`/proc/<pid>/schedstat\`). At half load of three nodes the
supervisor waits 31 to 51 ms for a processor while one revocation is under way, and Redis 40 to 48 (medians of two runs, a machine that others kept busy too): each of the four calls that follow one another is woken behind
a worker or a generator that has the core.

On the embedded store a revocation waits for its workers 0.3 ms at the median (34 to 56 ms at the 99th percentile at a load of 14 on two cores); the rest of its 12 ms is its way through the supervisor and the commit with its flush to disk,
beside a worker and a generator that have the two cores. Before, it waited 50 ms ([ADR 0040](../adr/0040-workers-say-that-answers-have-left.md)): p50 58 and p99 71 ms.

A strict question at low load is one call, sent in the turn of the loop that brought it and answered in the one that brings the reply. Round trips to an idle Redis one at a time, 450 of each in turn, p50 on a busy machine: PING 205 us, a
script that does nothing 214, \`HMGET\` of the realm's state 224, the same in a script 252, with a reply of nine parts 271, the call itself 289. Two thirds of it is two processes woken.

| tried | result |
| --- | --- |
| what covers a credential named anew for each question, not kept with its token; nothing kept twice | 1.1 kB a token in place of 2.3; p50 in process 0.93 uniform, no worse at 1,000; kept |
| records come into a full memory when they were asked about eight times lately, not twice ([ADR 0011](../adr/0011-what-a-process-remembers-of-the-store.md)) | with the line above 122 MB a worker in place of 162, the same requests; p50 in process 0.93 Zipf; kept |
| what the decision log has encoded is let go of at once | up to 1,000 records less in the old generation, kept |
| grants, tasks, subject and claims of the policy input written as JSON once, as long as they stay the same objects | 14.6 in place of 18.8 us to encode a record (least of 200 rounds in turn with the code before, busy machine); over HTTP no difference that could be measured (0.73 and 0.68 x of the throughput without a log, 52 and 47 us of processor time, 11 rounds); kept |
| records put together in JavaScript, text by text or byte by byte, with the same memory of parts | 18 to 28 us in place of 19: V8's own \`JSON.stringify\` of few large objects is faster; not kept |
| log writes gathered for 10 ms | no less processor time over HTTP (48.9 and 47.9 us a decision more than without a log, busy machine); not kept |
| a constant text in place of each record, of the same length | 8 of 48 us left over HTTP: encoding and its garbage are the rest; only tried |
| new space of 4 or 2 MiB (with 1.7 kB a token) | 157 and 156 MB against 155: more is moved to the old generation; not kept |
| the old generation collected after it has grown by 15 % or 20 % (the same) | 143 and 140 MB against 155, no difference in time that could be measured; not needed, not kept |
| \`--optimize-for-size\` (the same) | 114 MB, twice the processor time; not kept |
| two arenas of malloc | 4 MB less, not needed, not kept |
| SPIFFE IDs read by one expression | 0.5 us in place of 2, kept |
| short ways for verdicts that shape nothing, headers without pairs | no difference that could be measured at 1,000, not kept |
| the program in a hundred files, the supervisor without gateways ([ADR 0032](../adr/0032-programs-start-from-few-files.md)) | 0.6 of the processor time until ready, kept |
| the same minified | no difference that could be measured, not kept |
| groups of ids that are not there ([ADR 0011](../adr/0011-what-a-process-remembers-of-the-store.md)) | p50 in process 107 to 88 us at 1,000,000, none at 1,000, kept |
| 12,000 tokens and 12 MiB of records instead of 8,000 and 16 MiB | 449 to 304 us over HTTP with 9,000 tokens in use (27 % were verified again before), the same memory, kept |
| what an ending elsewhere did not change stays as it is, not made anew | beside 28 grants issued and ended a second p50 1.18 x and p99 1.23 x of rest, in place of 1.22 and 1.49 (six rounds each, one after the other, with precedence on a machine that others kept busy), kept |
| 8 MiB of records | 366 to 499 us, memory the same: what heaps keep is mostly room between objects; not kept |
| what a list of keys led to found again by what the keys say, not by the list: each question names them anew, so leased and strict memory had found none and kept every list (weakly) until a collection; kept until something of its kind changes, not anything; answers and the clock's offset without objects that begin with a spread | nine interleaved rounds on a busy machine, processor time of the worker a decision: leased 201 us in place of 255, strict 190 in place of 233, embedded 209; of leased's 54 us, 16 were helper threads, that is garbage; 1.13 and 1.05 x the embedded store's decisions a second in place of 0.83 and 0.92; kept |
| an operator's credential judged with one read of the store in place of five, and what is looked at before an ending side by side | the same runs, in turn with the code before: until the operator is known 2.4 ms in place of 3.8, a strict revocation 59.5 ms in place of 62.5 at the median, 5.4 ms of the supervisor's processor time in place of 6.2; kept |
| the changes of a realm not looked for where its position is the one that is known | 3 to 14 us less of a call's 290 to 304 (p50, three runs of 450 in turn with the code before, least tenth 6 to 8); kept |
| denials without a stack | 6 us less a denial, kept |
| gRPC questions decided in the read that brought them, in place of a turn of the loop for each ([ADR 0012](../adr/0012-answers-leave-with-their-re-check.md)) | 559 to 419 us full, 338 to 277 us the bare rule (the same minute of a busy machine); kept |
| no timer for the receipt of a gRPC message | 3 to 6 % of an echo over gRPC; below 1 % of a decision: not kept |
| questions of one turn decided together ([ADR 0042](../adr/0042-decisions-of-one-turn-are-made-together.md)); four, eight, sixteen, or all at once | 0.67, 0.63, 0.60, 0.58 of the main thread's time a full decision over HTTP (20 rounds in turn); sixteen kept, eight where answers leave with the turn |
| what a facts read refers to in Redis, read by one command in place of one each, and names told as they are stored | 105 us of Redis a call in place of 131 (24 rounds in turn, three runs: 0.74 to 0.77); kept |
| code on large pages (\`--use-largepages\`), malloc on large pages (\`glibc.malloc.hugetlb=1\`) | 0.90 to 1.00 and 0.83 to 0.97 in runs in which the same build beside itself was 0.95 to 1.14: nothing that could be measured; 10 to 25 MB more; not kept |
| zod's messages in fifty languages left out | 2.54 MB read at a start in place of 2.81; kept |
| HTTP/1.1 connections that met in one worker let go ([ADR 0038](../adr/0038-connections-are-opened-anew.md)), and the load generator keeps its own as gateways do | p99 at 70 % of our own maximum 6.5 ms in place of 47.9, of the bare rule at OPA's rate 46 in place of 524 (two runs on a quiet machine); kept |
| a reader of HTTP of our own ([ADR 0026](../adr/0026-http-is-read-by-node.md)) | 0.82 of the time, not kept |
| new space of 8 MiB in place of 5 | 0.99 of the processor time over HTTP at 1,000 (40 interleaved rounds, busy machine, least tenth), up to 9 MB more; not kept |
| \`--single-threaded-gc\` | 0.98 (the same run), too little to be told from noise; not kept |
| ES256 verified by \`node:crypto\` in place of jose | 83 us on the event loop, 97 to 106 in a thread, against 98 to 117: at a token's first sight only, below 2 % at 1,000,000; not kept |
`;
