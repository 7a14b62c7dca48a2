/** npm run bench:lifecycle [-- --per-second 28 --members 10000 --members-per-second 100 --member-rounds 3 --rounds 6 --seconds 10 --load-share 50 --write] */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { lifecycleDefaults, runLifecycle } from './lifecycle/run.ts';

const options = readOptions(lifecycleDefaults, process.argv.slice(2));
await runBench('lifecycle', 'npm run bench:lifecycle', options, () => runLifecycle(options, say));
