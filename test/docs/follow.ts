/** Makes a document a suite: each of its sections is a test that does what the section says, in one session from top to bottom. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { readDocument, type Block } from './markdown.ts';
import { openSession, partsOf, type Session } from './session.ts';

const SECTION_MS_MAX = 700_000;

/** Where a part is missing its sections are skipped, by name; with `CI=true` they fail. */
export const followDocument = (path: string): void => {
  const { blocks } = readDocument(path);
  if (!blocks.some(({ language }) => language === 'sh')) return;
  describe(`${path} does what it says`, () => {
    let session: Session;
    let broken: string | undefined;
    beforeAll(async () => {
      session = await openSession();
    });
    afterAll(() => session?.close());
    // A section that runs nothing is no test; its files are written with the next one that does.
    let waiting: readonly Block[] = [];
    for (const section of new Set(blocks.map((block) => block.section))) {
      const own = [...waiting, ...blocks.filter((block) => block.section === section)];
      waiting = own.some(({ language }) => language === 'sh') ? [] : own;
      if (waiting.length > 0) continue;
      const name = section === '' ? 'its beginning' : section;
      describeWith([...new Set(own.flatMap(partsOf))], name, () => {
        test('as it is written', async () => {
          if (broken !== undefined) throw new Error(`"${broken}" failed before`);
          broken = name;
          for (const block of own) await session.perform(block);
          broken = undefined;
        }, SECTION_MS_MAX);
      });
    }
  });
};
