/** npm run bench:peers [-- --rounds 5 --seconds 2 --open-rounds 3 --open-seconds 2 --connections 32 --workers 2 --grants 1000 --write]; about four minutes */
import { readOptions } from './harness/options.ts';
import { runBench, say } from './harness/run-bench.ts';
import { peersDefaults, runPeers } from './peers/run.ts';

const options = readOptions(peersDefaults, process.argv.slice(2));
await runBench('peers', 'npm run bench:peers', options, () => runPeers(options, say));
