/** Which tests of this version bear on which control of frameworks, as `npm run docs` wrote it down beside the documentation. Generated; nothing of it is claimed here. */
import { readFileSync } from 'node:fs';
import type { JsonValue } from '../domain/json.ts';

/** `undefined` where the file is not there, such as in a package that was cut down: then nothing is said. */
export const readControls = (): JsonValue | undefined => {
  try {
    return JSON.parse(readFileSync(new URL('../../docs/reference/controls.json', import.meta.url), 'utf8')) as JsonValue;
  } catch {
    return undefined;
  }
};
