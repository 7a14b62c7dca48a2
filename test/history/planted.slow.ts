/** `npm run test:faults -- --planted`: builds with one mistake each are found out by histories, each within a minute. */
import { expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { violations } from './check.ts';
import { faultNamed } from './faults.ts';
import { anySeed } from './many.ts';
import { createMeshBundle } from './mesh-bundle.ts';
import { buildPlanted, PLANTED } from './planted.ts';
import { play } from './play.ts';
import { startWorld } from './world.ts';

const WITHIN_MS = 60_000;

describeWith(['redis', 'cc'], 'builds with one mistake', () => {
  test.each(PLANTED.map((planted) => [planted.name, planted] as const))('%s: is found', { timeout: 240_000 }, async (_name, planted) => {
    const build = buildPlanted(planted);
    const bundle = planted.play?.queued === undefined ? undefined : createMeshBundle();
    const world = await startWorld(planted.world, { entry: build.entry, ...(bundle === undefined ? {} : { more: `policy: {bundle: {file: ${bundle.path}}, signing: {required: false}}\n` }) }).catch((error: unknown) => {
      build.remove();
      bundle?.remove();
      throw error;
    });
    try {
      const started = performance.now();
      let found: readonly string[] = [];
      let histories = 0;
      for (let seed = anySeed(); found.length === 0 && performance.now() - started < WITHIN_MS; seed += 1) {
        const fault = faultNamed(world, planted.faults[histories % planted.faults.length] as string);
        found = violations(await play(world, seed, { ...planted.play, fault })).filter((line) => !line.startsWith('L1:'));
        histories += 1;
      }
      process.stdout.write(`${planted.name}: ${histories} histories, ${((performance.now() - started) / 1_000).toFixed(1)} s: ${found[0] ?? 'not found'}\n`);
      expect(found).not.toEqual([]);
    } finally {
      await world.close();
      build.remove();
      bundle?.remove();
    }
  });
});
