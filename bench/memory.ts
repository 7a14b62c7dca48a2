/** npm run bench:memory [-- --grants 1000000 --starts 7 --rounds 8 --seconds 4 --write] */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { memoryDefaults, runMemory } from './memory/run.ts';

const options = readOptions(memoryDefaults, process.argv.slice(2));
await runBench('memory', 'npm run bench:memory', options, () => runMemory(options, say));
