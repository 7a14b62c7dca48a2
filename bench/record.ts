/** npm run bench:record [-- --records 300000 --rounds 7 --decisions 4000 --http-rounds 9 --seconds 2 --write] */
import { readOptions } from './harness/options.ts';
import { runBench } from './harness/run-bench.ts';
import { recordDefaults, runRecord } from './record/run.ts';

const options = readOptions(recordDefaults, process.argv.slice(2));
await runBench('record', 'npm run bench:record', options, () => runRecord(options));
