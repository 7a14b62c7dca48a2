/** Every alert of the catalogue is raised somewhere, or its text says that nothing raises it yet. */
import { expect, test } from 'vitest';
import { ALERT_TYPES, alertText, type AlertType } from '../../src/domain/alert.ts';
import { sourceFiles } from '../tidy/source-files.ts';

/** Types named in a call of `raise`, by which alone an alert is made; or in a finding, which is an object with the type and the `cause` that is handed to it. */
const raisedIn = (text: string): readonly string[] => [
  ...[...text.matchAll(/\braise\(([^,]*),/g)].flatMap(([, first = '']) => [...first.matchAll(/'([a-z-]+\.[a-z-]+)'/g)].map(([, type = '']) => type)),
  ...[...text.matchAll(/\btype: '([a-z-]+\.[a-z-]+)', cause:/g)].map(([, type = '']) => type),
];

test('an alert that nothing raises says so, and one that something raises does not', () => {
  const raised = new Set(sourceFiles().filter(({ path }) => path.startsWith('src/') && path !== 'src/domain/alert.ts').flatMap(({ text }) => raisedIn(text)));
  const saysSo = (type: AlertType): boolean => alertText(type).includes('nothing raises it yet');
  expect(ALERT_TYPES.filter((type) => raised.has(type) === saysSo(type))).toEqual([]);
  expect([...raised].filter((type) => !(ALERT_TYPES as readonly string[]).includes(type))).toEqual([]);
});

test('positive control: it finds what is raised by name and by choice, and nothing else', () => {
  expect(raisedIn("raise('a.b', id, now); raise(late ? 'c.d' : 'e-f.g', id); praise('x.y', 1); const t = 'h.i'; const e = { type: 'j.k', about: [] }, f = { type: 'l.m', cause: id };")).toEqual(['a.b', 'c.d', 'e-f.g', 'l.m']);
});
