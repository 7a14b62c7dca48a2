/** A folder that looks like a checkout to whoever follows a document, and the programs that stand in that reader's PATH. */
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPart, repositoryRoot } from '../parts.ts';

/** Copied, so that a document may change them; the rest is only linked. */
const COPIED = ['deploy', 'policies', 'bundles', 'scripts', 'package.json'] as const;
const LINKED = ['dist', 'toolchain', 'docs', 'test'] as const;

const filesBelow = (folder: string): readonly string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });

/** `port` replaces the ports that examples are written with. */
export const makeCheckout = (directory: string, port: (text: string) => string): void => {
  for (const name of COPIED) cpSync(join(repositoryRoot, name), join(directory, name), { recursive: true });
  for (const name of LINKED) symlinkSync(join(repositoryRoot, name), join(directory, name));
  // Where nginx was built to write may not be there for us to write to.
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(directory, `${name}.tmp`)};`).join(' ');
  for (const path of filesBelow(join(directory, 'deploy'))) {
    // Patient, so that a busy machine fails no test.
    const text = port(readFileSync(path, 'utf8')).replaceAll(/(?<=timeout:? )(?:0\.2s|[23]00ms)/g, '10s');
    writeFileSync(path, path.endsWith('nginx.conf') ? text.replace('http {', `http { access_log off; ${places}`) : text);
  }
};

/** Programs that stand in the reader's PATH: our parts, wherever they are. Envoy's hot restart would let tests meet each other. */
export const makeTools = (directory: string): void => {
  mkdirSync(directory);
  const shim = (name: string, line: string): void => {
    writeFileSync(join(directory, name), `#!/bin/sh\n${line}\n`);
    chmodSync(join(directory, name), 0o755);
  };
  const envoy = findPart('envoy');
  if (envoy !== undefined) shim('envoy', `exec '${envoy}' --disable-hot-restart --concurrency 1 --log-level error "$@"`);
  // Installed already; Docker's test and continuous integration run it for real.
  shim('npm', `if [ "$1" = ci ]; then exit 0; fi\nPATH="\${PATH#*:}" exec npm "$@"`);
  // The real one would link this checkout into the user's npm cache and build it there again.
  shim('npx', `[ "$1" = curfew ] || exit 127\nshift\nexec '${process.execPath}' '${join(repositoryRoot, 'dist/main.js')}' "$@"`);
};
