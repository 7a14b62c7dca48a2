import { expect, test } from 'vitest';
import { missingLine, withMarks } from './expected-lines.ts';
import { followDocument } from './follow.ts';
import { parseMarkdown, readDocument } from './markdown.ts';
import { openSession } from './session.ts';

followDocument('README.md');

test('the README fits a newcomer: at most 250 lines, no badges', () => {
  const { text } = readDocument('README.md');
  expect(text.split('\n').length).toBeLessThanOrEqual(250);
  expect(text).not.toMatch(/!\[/);
});

test('positive control: a document that says something untrue fails', async () => {
  const { blocks } = parseMarkdown('x.md', '```sh\necho one\n#> two\n```\n\n```sh\nfalse\n```\n\n```sh\nX=4; echo "$X"; echo later\n#> 4\n#> la...\n```\n');
  const performed = async (index: number): Promise<string> => {
    const session = await openSession();
    try {
      await session.perform(blocks[index] as (typeof blocks)[number]);
      return 'did what it says';
    } catch (error) {
      return String(error);
    } finally {
      await session.close();
    }
  };
  expect(await performed(0)).toContain('should print "two"');
  expect(await performed(1)).toContain('failed');
  expect(await performed(2)).toBe('did what it says');
});

test('expected lines are matched whole, in order, with ... for anything', () => {
  const { script, expected } = withMarks('a\n#> x\n#> y\nb\n', 'M');
  expect(expected).toEqual([['x', 'y']]);
  expect(script).toContain("'M'");
  expect(missingLine('x\nz\ny', ['x', 'y'])).toBeUndefined();
  expect(missingLine('y\nx', ['x', 'y'])).toBe('y');
  expect(missingLine('xx', ['x'])).toBe('x');
  expect(missingLine('a.c (1)', ['a.c (...)'])).toBeUndefined();
  expect(missingLine('abc', ['a.c'])).toBe('a.c');
});
