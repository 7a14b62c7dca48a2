/** npm run bench [-- --large 1000000 --small 1000 --rounds 9 --decisions 2000 --seed 7 --profile --write] */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { inProcessDefaults, runInProcess } from './in-process/run.ts';

const options = readOptions(inProcessDefaults, process.argv.slice(2));
await runBench('in-process', 'npm run bench', options, () => runInProcess(options, say));
