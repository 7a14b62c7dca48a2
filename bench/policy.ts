/** npm run bench:policy [-- --rounds 9 --evaluations 5000 --write] */
import { readOptions } from './harness/options.ts';
import { runBench } from './harness/run-bench.ts';
import { policyDefaults, runPolicy } from './policy/run.ts';

const options = readOptions(policyDefaults, process.argv.slice(2));
await runBench('policy', 'npm run bench:policy', options, () => runPolicy(options));
