/** npm run bench:alerts [-- --ends 200 --per-second 20 --write]: half a minute */
import { runAlerts, alertsDefaults } from './alerts/run.ts';
import { readOptions } from './harness/options.ts';
import { runBench } from './harness/run-bench.ts';

const options = readOptions(alertsDefaults, process.argv.slice(2));
await runBench('alerts', 'npm run bench:alerts', options, () => runAlerts(options));
