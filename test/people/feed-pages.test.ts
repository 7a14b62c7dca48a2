/** SCIM's pages by number read each record once, whoever comes and goes meanwhile. Over both stores. */
import { expect, test } from 'vitest';
import { createFeedPages } from '../../src/lifecycle/feed-pages.ts';
import type { Page, StoredRecord } from '../../src/store/port.ts';
import { onBothStores } from '../support/both-stores.ts';
import { createPeopleWorld } from './world.ts';

const listOf = (ids: readonly string[]) => {
  const read = { records: 0 };
  const list = async ({ after, limit }: { readonly after?: string; readonly limit: number }): Promise<Page<StoredRecord>> => {
    const rest = ids.filter((id) => after === undefined || id > after);
    const items = rest.slice(0, limit);
    read.records += items.length;
    return { items: items.map((id) => ({ key: { kind: 'feed-user', id } }) as StoredRecord), ...(rest.length > limit ? { next: items.at(-1) as string } : {}) };
  };
  return { list, read };
};
const numbered = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => `idp:${String(from + index).padStart(5, '0')}`);
const idOf = ({ key: { id } }: StoredRecord): string | undefined => (id.startsWith('idp:') ? id : undefined);

test('B8: page after page reads each record once, those of other sources among them', async () => {
  const all = [...numbered(500), ...numbered(500).map((id) => id.replace('idp', 'hr')), ...numbered(1_500, 500)].sort();
  const { list, read } = listOf(all);
  const pages = createFeedPages({ list, idOf });
  const got: string[] = [];
  for (let start = 1; start <= 2_000; start += 100) {
    const ids = await pages(start, 100);
    expect(ids).toHaveLength(100);
    got.push(...ids);
  }
  expect(got).toEqual(numbered(2_000));
  expect(read.records).toBe(2_500);
  // From anywhere, in any order and of any size.
  for (const [start, count] of [[1_937, 200], [1, 3], [555, 1], [2_000, 5], [2_001, 5], [1_234, 0], [40, 1_100]] as const) expect(await pages(start, count), `${start} ${count}`).toEqual(numbered(2_000).slice(start - 1, start - 1 + count));
  const before = read.records;
  await pages(1_000, 10);
  expect(read.records - before, 'from the nearest number that is known').toBeLessThan(200);
});

test('who is gone moves nobody over the edge of a page', async () => {
  const all = numbered(30);
  const pages = createFeedPages({ list: listOf(all).list, idOf });
  const got = [...(await pages(1, 10))];
  all.splice(3, 4);
  got.push(...(await pages(11, 10)), ...(await pages(21, 10)));
  expect(got).toEqual(numbered(30));
});

onBothStores('SCIM pages', (open) => {
  test('everybody is on one page of those asked for one after the other, and whoever is deleted is counted no more', async () => {
    const { scim, user } = await createPeopleWorld(open);
    const ids: string[] = [];
    for (let index = 0; index < 25; index += 1) ids.push(await user(`u${index}`));
    const walk = async (count: number): Promise<string[]> => {
      const found: string[] = [];
      for (let start = 1; ; start += count) {
        const { body } = await scim('GET', `/Users?startIndex=${start}&count=${count}`);
        if (body.itemsPerPage === 0) return found;
        found.push(...(body.Resources as { id: string }[]).map(({ id }) => id));
      }
    };
    for (const count of [4, 7, 25]) expect((await walk(count)).toSorted(), String(count)).toEqual(ids.toSorted());
    expect((await scim('DELETE', `/Users/${ids[3] as string}`)).status).toBe(204);
    expect((await scim('GET', '/Users?count=1')).body).toMatchObject({ totalResults: 24, itemsPerPage: 1 });
    expect((await walk(5)).toSorted()).toEqual(ids.filter((id) => id !== ids[3]).toSorted());
  });
});
