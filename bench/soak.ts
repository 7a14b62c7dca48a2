/**
 * npm run bench:soak [-- --minutes 60 --window-seconds 30 --workers 2 --grants 100000 --write]: an hour under load, with its slopes. `--minutes 3 --window-seconds 10` is a short one;
 * it says whether the bench works, not whether anything grows.
 */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { runSoak, soakDefaults } from './soak/run.ts';

const options = readOptions(soakDefaults, process.argv.slice(2));
await runBench('soak', `npm run bench:soak -- --minutes ${options.minutes}`, options, () => runSoak(options, say));
