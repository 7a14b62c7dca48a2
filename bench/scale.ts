/**
 * npm run bench:scale [-- --full --rounds 5 --decisions 1000 --write]: how a decision's cost grows with what is stored and with the policy. As it is, up to 100,000 of each (about two minutes, filling
 * included); `--full` goes to 10,000,000 revocations and 1,000,000 grants (stores are filled once, some ten minutes, and kept in .cache/bench-stores; then about five minutes).
 */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { runScale, scaleDefaults } from './scale/run.ts';

const options = readOptions(scaleDefaults, process.argv.slice(2));
await runBench('scale', `npm run bench:scale${options.full ? ' -- --full' : ''}`, options, () => runScale(options, say));
