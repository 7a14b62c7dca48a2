/** Places outside of the store that keep checkpoints: a file that is appended to, or a URL. What they say is believed only where its signature holds. */
import { appendFile, open } from 'node:fs/promises';
import { readBounded } from '../../bounded/file.ts';
import { getBytes } from '../../bounded/get.ts';
import { verifyCheckpoint, type Checkpoint } from './checkpoint.ts';
import type { AnchorConfig } from './config.ts';

export interface Anchor {
  /** For messages: the file or the URL's host. */
  readonly name: string;
  /** Durable at the anchor when it resolves; rejects with a text without secrets. */
  write(realm: string, checkpoint: string): Promise<void>;
  /** What it keeps, newest last; `undefined` when this anchor can't be read back. Rejects when it should be readable and is not. */
  read(realm: string): Promise<readonly string[] | undefined>;
}

const TAIL_BYTES = 1_048_576;
const TIMEOUT_MS = 10_000;
const TOKEN_BYTES_MAX = 8_192;

/** The whole lines at the end of a file. */
const lastLines = async (file: string): Promise<readonly string[]> => {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const from = Math.max(0, size - TAIL_BYTES);
    const bytes = Buffer.alloc(size - from);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
    const lines = bytes.toString('utf8', 0, bytesRead).split('\n');
    return lines.slice(from === 0 ? 0 : 1).filter((line) => line !== '');
  } finally {
    await handle.close();
  }
};

const fileAnchor = (file: string): Anchor => ({
  name: file,
  write: async (_realm, checkpoint) => {
    try {
      await appendFile(file, `${checkpoint}\n`, { mode: 0o600, flush: true });
    } catch (error) {
      throw new Error(`the anchor ${file} can not be written (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`, { cause: error });
    }
  },
  read: async () => {
    try {
      return await lastLines(file);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return [];
      throw new Error(`the anchor ${file} can not be read (${code ?? 'unknown'})`, { cause: error });
    }
  },
});

const urlAnchor = (config: Extract<AnchorConfig, { url: string }>): Anchor => {
  const name = new URL(config.url.replaceAll(/\{\w+\}/g, 'x')).host;
  const token = (): string | undefined => {
    if (config.bearerToken === undefined) return undefined;
    const read = readBounded(config.bearerToken.file, TOKEN_BYTES_MAX);
    if ('fault' in read) throw new Error(`the token of the anchor ${name} ${read.fault}`);
    return read.text.trim();
  };
  const urlOf = (realm: string, sequence: string): URL => new URL(config.url.replaceAll('{realm}', encodeURIComponent(realm)).replaceAll('{sequence}', sequence));
  return {
    name,
    write: async (realm, checkpoint) => {
      const verified = await verifyCheckpoint(checkpoint);
      const bearer = token();
      const answer = await fetch(urlOf(realm, verified.ok ? String(verified.checkpoint.sequence) : '0'), {
        method: config.method, body: checkpoint, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: { 'content-type': 'application/jose', ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }) },
      }).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.ok !== true) throw new Error(`the anchor ${name} ${answer === undefined ? 'can not be reached' : `answered ${answer.status}`}`);
    },
    read: async (realm) => {
      if (config.method !== 'PUT' || config.url.includes('{sequence}')) return undefined;
      const bearer = token();
      const got = await getBytes({ url: urlOf(realm, ''), timeoutMs: TIMEOUT_MS, bytesMax: TOKEN_BYTES_MAX, signal: AbortSignal.timeout(TIMEOUT_MS), ...(bearer === undefined ? {} : { bearerToken: bearer }) });
      if ('fault' in got) {
        // Nothing was put there yet.
        if (got.status === 404) return [];
        throw new Error(`the anchor ${name} ${got.fault}`);
      }
      return got.bytes === undefined ? [] : [got.bytes.toString('utf8').trim()];
    },
  };
};

export const openAnchor = (config: AnchorConfig): Anchor => ('file' in config ? fileAnchor(config.file) : urlAnchor(config));

/** The furthest checkpoint of a realm that an anchor keeps, of those whose signature holds and whose key is one of `keyIds` (absent: any). */
export const furthest = async (anchor: Anchor, realm: string, keyIds?: ReadonlySet<string>): Promise<Checkpoint | undefined> => {
  let found: Checkpoint | undefined;
  for (const line of (await anchor.read(realm)) ?? []) {
    const verified = await verifyCheckpoint(line);
    if (!verified.ok || verified.checkpoint.realm !== realm || (keyIds !== undefined && !keyIds.has(verified.keyId))) continue;
    // The last line of the newest epoch counts: an earlier epoch went further perhaps, but is over.
    if (found === undefined || found.epoch !== verified.checkpoint.epoch || found.sequence < verified.checkpoint.sequence) found = verified.checkpoint;
  }
  return found;
};
