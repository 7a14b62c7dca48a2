// Writes docs/reference/configuration.md from the schemas. Needs `npm run build` before.
import { mkdirSync, writeFileSync } from 'node:fs';
import { configReference } from '../dist/config/reference.js';

const target = new URL('../docs/reference/configuration.md', import.meta.url);
mkdirSync(new URL('.', target), { recursive: true });
writeFileSync(target, configReference());
