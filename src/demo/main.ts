/** `npm run demo [-- --http]`: a tour that checks itself, with `--http` without Envoy. Exit code 1 when any answer was wrong. */
import { aiAgent, breakGlass, ciJob, leakedCredential } from './cases.ts';
import { startCurfew } from './curfew-process.ts';
import { openGateway } from './gateway.ts';
import { createTour } from './tour.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const run = async (): Promise<boolean> => {
  const curfew = await startCurfew();
  try {
    const gateway = await openGateway(curfew);
    try {
      print(`Curfew: five ways in which access really ends. Every request goes ${gateway.name}.`);
      const tour = createTour(curfew, gateway, print);
      for (const show of [ciJob, aiAgent, leakedCredential, breakGlass]) await show(tour);
      print('\nFrom cause to first denial:');
      for (const [cause, ms] of tour.measurements) print(`  ${cause.padEnd(26)} ${Math.max(0, ms).toFixed(0).padStart(5)} ms`);
      const reached = gateway.reached();
      if (reached !== undefined) {
        print(`\n${reached} requests reached the service, ${tour.allowed()} were allowed.`);
        tour.check(reached === tour.allowed(), 'the service must be reached by what was allowed and by nothing else');
      }
      if (tour.unanswered() > 0) print(`${tour.unanswered()} requests got no decision in time on this busy machine: they were refused, and sent again.`);
      for (const wrong of tour.wrong) print(`WRONG  ${wrong}`);
      print(tour.wrong.length === 0 ? '\nEvery answer was right.' : `\n${tour.wrong.length} answers were wrong.`);
      return tour.wrong.length === 0;
    } finally {
      await gateway.stop();
    }
  } finally {
    await curfew.stop();
  }
};

try {
  process.exitCode = (await run()) ? 0 : 1;
} catch (error) {
  print(`The tour could not be made: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
