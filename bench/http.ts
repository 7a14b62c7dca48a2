/** npm run bench:http [-- --large 1000000 --small 1000 --rounds 7 --seconds 2 --connections 32 --opa=false --write] */
import { runHttp, httpDefaults } from './http/run.ts';
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';

const options = readOptions(httpDefaults, process.argv.slice(2));
await runBench('http', 'npm run bench:http', options, () => runHttp(options, say));
