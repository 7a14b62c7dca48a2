import { followDocument } from './follow.ts';
import { allDocuments } from './markdown.ts';

for (const { path } of allDocuments()) if (path.startsWith('docs/')) followDocument(path);
