/** npm run bench:http [-- --large 1000000 --small 1000 --rounds 7 --seconds 2 --connections 32 --opa=false --write]; with --large-revocations 10000000 its results are kept beside those of the whole bench */
import { runHttp, httpDefaults } from './http/run.ts';
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';

const options = readOptions(httpDefaults, process.argv.slice(2));
const { largeRevocations, workers, opa } = options;
const [name, flags] = largeRevocations === 0 ? ['http', ''] : ['http-revocations', ` -- --large-revocations ${largeRevocations} --workers ${workers}${opa ? '' : ' --opa=false'}`];
await runBench(name, `npm run bench:http${flags}`, options, () => runHttp(options, say));
