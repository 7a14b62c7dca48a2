/** Notices that one of a few files was replaced, by looking every now and then. */
import { statSync } from 'node:fs';
import type { Config } from '../config/schema.ts';

/** Certificates and keys of the listeners for decisions. */
export const tlsFiles = ({ http, grpc }: Config): readonly string[] =>
  [http.tls, grpc.tls].flatMap((tls) => [tls?.cert, tls?.key, tls?.clientCa].filter((path) => path !== undefined));

export const adminTlsFiles = ({ admin: { tls } }: Config): readonly string[] => [tls?.cert, tls?.key].filter((path) => path !== undefined);

const stateOf = (paths: readonly string[]): string =>
  paths.map((path) => {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? 'absent' : `${path} ${stat.mtimeNs}/${stat.size}/${stat.ino}`;
  }).join(' ');

/** Says at each call whether something changed since the one before, other `paths` included. A file that is missing for a moment is not a change. */
export const watchFiles = (paths: () => readonly string[]): (() => boolean) => {
  let before = stateOf(paths());
  return () => {
    const now = stateOf(paths());
    if (now === before || now.includes('absent')) return false;
    before = now;
    return true;
  };
};
