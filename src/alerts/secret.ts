/** Secrets of channels: read from a file or a variable when they are used, so that a rotated one counts at once. */
import { readBounded } from '../bounded/file.ts';

const SECRET_BYTES_MAX = 4_096;

export interface SecretSources {
  readonly env: (name: string) => string | undefined;
}

export type SecretAt = { readonly file: string } | { readonly env: string };

/** `undefined` when there is none. */
export const readSecret = (at: SecretAt, { env }: SecretSources): string | undefined => {
  const read = 'file' in at ? readBounded(at.file, SECRET_BYTES_MAX) : { text: env(at.env) ?? '' };
  const text = 'fault' in read ? '' : read.text.trim();
  return text === '' ? undefined : text;
};
