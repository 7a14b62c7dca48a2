/** npm run bench:redis [-- --small 1000 --large 1000000 --rounds 7 --seconds 2 --revocations 100 --write] */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { redisDefaults, runRedis } from './redis/run.ts';

const options = readOptions(redisDefaults, process.argv.slice(2));
await runBench('redis', 'npm run bench:redis', options, () => runRedis(options, say));
