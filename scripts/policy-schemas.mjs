/** Writes the JSON Schemas of the policy inputs to docs/reference. Needs dist: `npm run docs:schemas`. */
import { writeFileSync } from 'node:fs';
import { inputSchemas } from '../dist/policy/input-schema.js';

for (const name of ['policy-input', 'admin-input']) {
  writeFileSync(new URL(`../docs/reference/${name}.schema.json`, import.meta.url), `${JSON.stringify(inputSchemas()[name], null, 2)}\n`);
}
