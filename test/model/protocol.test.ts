/** I2, I5, I6, E6: the protocol of the Redis store, in every state of a small fleet; and that each of its guards is needed. */
import { describe, expect, test } from 'vitest';
import { explore } from './explore.ts';
import { protocol } from './protocol.ts';
import { GUARDS, type Mode } from './state.ts';

const MODES = Object.keys(GUARDS) as Mode[];

describe.each(MODES)('%s', (mode) => {
  test('no allow is written after its revoke returned, in any state', () => {
    const model = protocol(mode);
    const after = new Set<string>();
    const { states, seen, counterexample } = explore({
      ...model,
      next: (state) => {
        const steps = model.next(state);
        if (state.promoted && state.asking.writes === 1) for (const { what } of steps) if (what.startsWith('A allows')) after.add(`${what}, "${state.returned}" revoked`);
        return steps;
      },
    });
    expect(counterexample).toBeUndefined();
    process.stdout.write(`${mode}: ${states} states\n`);
    // The model gets where it matters: it allows, and it revokes before and after the failover.
    for (const what of ['A allows grant 0', 'S0 is cut off; S1 is promoted', 'B commits revocation 0 on S0', 'B commits revocation 0 on S1', 'revoke 0 returns', 'A reads from S1 now', 'A restarts', "A's wall clock is set back"]) {
      expect(seen).toContain(what);
    }
    // What was not revoked is allowed again after it.
    expect(after).toContain('A allows grant 0, "" revoked');
    expect(after).toContain(mode === 'strict' ? 'A allows grant 1, "0" revoked' : 'A allows grant 0, "1" revoked');
  });

  test.each(GUARDS[mode])('without "%s" there is a way to a wrong allow', (guard) => {
    const { counterexample } = explore(protocol(mode, guard));
    expect(counterexample, 'this guard is not needed, or the model does not see why').toBeDefined();
    process.stdout.write(`${mode}, without "${guard}":\n${counterexample?.join('\n')}\n`);
    expect(counterexample?.at(-1)).toMatch(/^ {3}I[26]: /);
  });
});
