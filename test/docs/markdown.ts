/** What tests read out of the project's Markdown: code blocks, headings, links, and what is written in backticks. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../parts.ts';

export interface Block {
  readonly language: string;
  /** What follows the language: a file name, or `background` and a port. */
  readonly words: readonly string[];
  readonly text: string;
  /** Of the block's first line, from 1. */
  readonly line: number;
  /** The last heading of the second level before it. */
  readonly section: string;
}

export interface Document {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
  /** Without code blocks. */
  readonly prose: string;
  readonly blocks: readonly Block[];
  /** As GitHub makes them from headings. */
  readonly anchors: ReadonlySet<string>;
}

const anchorOf = (heading: string): string =>
  heading.trim().toLowerCase().replaceAll(/[`*]/g, '').replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');

export const parseMarkdown = (path: string, text: string): Document => {
  const blocks: Block[] = [];
  const anchors = new Set<string>();
  const prose: string[] = [];
  let section = '';
  let open: { fence: string; info: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^(`{3,})(.*)$/.exec(line);
    if (open !== undefined) {
      if (line.trimEnd() !== open.fence) open.lines.push(line);
      else {
        const [language = '', ...words] = open.info.trim().split(/\s+/);
        blocks.push({ language, words, text: `${open.lines.join('\n')}\n`, line: open.line, section });
        open = undefined;
      }
    } else if (fence !== null) open = { fence: fence[1] ?? '', info: fence[2] ?? '', line: index + 2, lines: [] };
    else {
      prose.push(line);
      const heading = /^(#{1,6}) (.+)$/.exec(line);
      if (heading === null) continue;
      const anchor = anchorOf(heading[2] ?? '');
      let unique = anchor;
      for (let count = 1; anchors.has(unique); count += 1) unique = `${anchor}-${count}`;
      anchors.add(unique);
      if (heading[1] === '##') section = heading[2] ?? '';
    }
  }
  if (open !== undefined) throw new Error(`${path}:${open.line - 1}: the code block does not end`);
  return { path, text, prose: prose.join('\n'), blocks, anchors };
};

export const readDocument = (path: string): Document => parseMarkdown(path, readFileSync(join(repositoryRoot, path), 'utf8'));

/** Every Markdown file that is or will be committed, whoever wrote it. */
export const allDocuments = (): readonly Document[] =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z', '*.md'], { cwd: repositoryRoot, encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '')
    .flatMap((path) => {
      try {
        return [readDocument(path)];
      } catch (error) {
        // Deleted and not committed yet.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    });

/** Targets of inline links and images. */
export const linksOf = ({ prose }: Document): readonly string[] =>
  [...prose.replaceAll(/`[^`\n]*`/g, '').matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target ?? '');

/** What stands in backticks, outside of code blocks. */
export const codeSpansOf = ({ prose }: Document): readonly string[] => [...prose.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text ?? '');
