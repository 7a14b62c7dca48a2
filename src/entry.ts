/** Process entry: a worker decides what its supervisor gave it; everything else is a command. */
import cluster from 'node:cluster';

if (cluster.isWorker) {
  const { runWorker } = await import('./supervisor/worker.ts');
  runWorker();
} else {
  const { runCommand } = await import('./command.ts');
  process.exitCode = await runCommand(process.argv.slice(2));
}
