/** Runs scripts on realms of one store: a realm that never was is made, and limits that are asked by and not open are opened, before they run once more. */
import { StoreUnavailable } from '../port.ts';
import type { OnRealm } from './changes.ts';
import { realmKeys } from './keys.ts';
import { makeRealm } from './marks.ts';

/** Somebody may close them again at once. */
const OPENINGS_MAX = 3;

/** `openLimits`: absent where scripts name none. */
export const createOnRealm = (epoch: string, replicas: number, openLimits?: (realm: string) => Promise<void>): OnRealm => async (connection, timeoutMs, script, realm, keys, args) => {
  // Where there are replicas, never elsewhere than who is waited for.
  const there = replicas > 0 ? connection.at(realmKeys(realm).state) : connection;
  const call = () => there.script(timeoutMs, script, keys, args);
  const says = (answer: readonly unknown[], what: string): boolean => String(answer[0]) === what;
  let answer = await call();
  if (says(answer, 'epoch')) {
    const other = String(answer[1]);
    let why: Error | undefined;
    if (other === '') await makeRealm(connection, timeoutMs, realm, epoch).catch((error: unknown) => { why = error instanceof Error ? error : new StoreUnavailable('the realm could not be made', { cause: error }); });
    answer = await call();
    if (says(answer, 'epoch')) {
      if (other.startsWith('moved:')) throw new StoreUnavailable('this realm was moved to another store: point this node there');
      throw why ?? new StoreUnavailable('the store was replaced under the running program by one of another epoch: what had ended may no longer be known. Restore the right one, or restart');
    }
  }
  for (let tries = 0; says(answer, 'limits'); tries += 1) {
    if (openLimits === undefined || tries >= OPENINGS_MAX) throw new StoreUnavailable('redis: it is not known by which limits may be decided');
    await openLimits(realm);
    answer = await call();
  }
  return answer;
};
