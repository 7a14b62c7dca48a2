/**
 * The people source that is a file: persons and workloads as JSON, brought into the store whenever its text changes. Persons that came from it and
 * are no longer in it have left. A file that can't be read, is not valid or has nobody in it changes nothing and is complained of.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { readBounded } from '../bounded/file.ts';
import { readPerson } from '../domain/lifecycle/directory.ts';
import type { Store } from '../store/port.ts';
import type { Directory } from './directory.ts';
import { createRounds, type Rounds } from './rounds.ts';

const FILE_BYTES_MAX = 16 * 2 ** 20;
const PEOPLE_MAX = 100_000;

const people = z.strictObject({
  persons: z.record(z.string(), z.strictObject({ accounts: z.array(z.string()).default([]), teams: z.array(z.string()).default([]), active: z.boolean().default(true) })),
  workloads: z.record(z.string(), z.strictObject({
    kind: z.string().default('service'), owner: z.string(), fallbackOwner: z.string(), tier: z.string().default('standard'), aliases: z.array(z.string()).default([]), active: z.boolean().default(true),
  })).default({}),
});

export interface PeopleFileDeps {
  readonly path: string;
  readonly directory: Directory;
  readonly store: Pick<Store, 'list'>;
  readonly realms: readonly string[];
  readonly pauseMs: number;
  readonly monotonicMs: () => number;
  readonly onError: (error: unknown) => void;
}

export interface PeopleFile extends Rounds {
  /** Looks once; resolves to how many commands it gave. */
  sync(): Promise<number>;
}

const ACTOR = { kind: 'system', id: 'system:people-file' } as const;
const SOURCE = 'file';
const PAGE = 200;

export const createPeopleFile = ({ path, directory, store, realms, pauseMs, monotonicMs, onError }: PeopleFileDeps): PeopleFile => {
  let seen: string | undefined;

  const known = async (realm: string): Promise<readonly string[]> => {
    const ids: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind: 'person', limit: PAGE, ...(after === undefined ? {} : { after }) });
      ids.push(...page.items.flatMap(({ value }) => { const person = readPerson(value); return person?.source === SOURCE && person.active ? [person.id] : []; }));
      if (page.next === undefined) return ids;
      after = page.next;
    }
  };

  const sync = async (): Promise<number> => {
    const read = readBounded(path, FILE_BYTES_MAX);
    if ('fault' in read) throw new Error(`${path}: ${read.fault}`);
    const { text } = read;
    const digest = createHash('sha256').update(text).digest('hex');
    if (digest === seen) return 0;
    const { persons, workloads } = people.parse(JSON.parse(text));
    const ids = Object.keys(persons);
    if (ids.length === 0 || ids.length > PEOPLE_MAX) throw new Error(`${path} has ${ids.length} persons; nobody was changed`);
    let count = 0;
    const refused: string[] = [];
    const note = (what: string, executed: Awaited<ReturnType<Directory['setPerson']>>): void => {
      count += 1;
      if (!executed.ok) refused.push(`${what}: ${executed.failure.detail}`);
    };
    for (const realm of realms) {
      const call = { realm, actor: ACTOR };
      // Who has left first, so that their accounts are free.
      for (const id of (await known(realm)).filter((one) => !Object.hasOwn(persons, one))) note(id, await directory.setPerson(call, { id, accounts: [], teams: [], active: false }, SOURCE));
      for (const [id, person] of Object.entries(persons)) note(id, await directory.setPerson(call, { id, ...person }, SOURCE));
      for (const [id, workload] of Object.entries(workloads)) note(id, await directory.setWorkload(call, { id, ...workload }));
    }
    if (refused.length > 0) throw new Error(`${path}: ${refused.slice(0, 5).join('; ')}`);
    seen = digest;
    return count;
  };
  return { sync, ...createRounds({ round: sync, pauseMs: () => pauseMs, monotonicMs, onError }) };
};
