/**
 * npm run bench:redis [-- --small 1000 --rounds 7 --seconds 2 --revocations 100 --throughput=false --memory=false --revoke=false --write]
 * npm run bench:redis -- --growth [--large 1000000 --write]: by itself, and on the page
 */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { redisDefaults, runRedis } from './redis/run.ts';

const options = readOptions(redisDefaults, process.argv.slice(2));
await runBench(options.growth ? 'redis-growth' : 'redis', `npm run bench:redis${options.growth ? ' -- --growth' : ''}`, options, () => runRedis(options, say));
