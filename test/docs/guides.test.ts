import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../parts.ts';
import { followDocument } from './follow.ts';

for (const name of readdirSync(join(repositoryRoot, 'docs/guides')).filter((file) => file.endsWith('.md'))) followDocument(`docs/guides/${name}`);
