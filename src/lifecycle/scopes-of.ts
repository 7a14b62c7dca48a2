/** What a workload's grants that end after now were made for, whether or not they count at this moment. For searches: it decides nothing. */
import type { Clock } from '../decision/ports.ts';
import { readGrant } from '../domain/records.ts';
import type { Scope } from '../domain/scope.ts';
import type { Store } from '../store/port.ts';

export const scopesOf = (store: Pick<Store, 'facts'>, clock: Clock) => async (realm: string, workload: string): Promise<readonly Scope[]> => {
  const { rows } = await store.facts({ realm, keys: [], index: { owner: workload, endsAfter: clock.now().latest, wanted: () => false } });
  return rows.flatMap(({ value }) => readGrant(value)?.scopes ?? []);
};
