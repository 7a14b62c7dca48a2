/**
 * npm run bench:soak [-- --minutes 60 --window-seconds 30 --rate 300 --workers 2 --grants 100000 --write]: under load for long, with the slopes of what must not grow. As it is, three minutes: that says whether
 * access ends under load and whether the bench works, not whether anything grows, which takes the hour.
 */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { runSoak, soakDefaults } from './soak/run.ts';

const options = readOptions(soakDefaults, process.argv.slice(2));
await runBench('soak', `npm run bench:soak -- --minutes ${options.minutes}${options.rate === 0 ? '' : ` --rate ${options.rate}`}`, options, () => runSoak(options, say));
