/** npm run bench:reload [-- --saves 10 --rounds 5 --seconds 6 --load-share 50 --write]; needs the toolchain: npm run toolchain */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { reloadDefaults, runReload } from './reload/run.ts';

const options = readOptions(reloadDefaults, process.argv.slice(2));
await runBench('reload', 'npm run bench:reload', options, () => runReload(options, say));
