/** An https server on loopback that counts what is asked of it and answers as the test says, with a CA of its own. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../support/free-ports.ts';
import { certificate } from './x509.ts';

export interface KeyServer {
  readonly origin: string;
  readonly caFile: string;
  /** Paths asked for, in order. */
  readonly asked: string[];
  readonly headers: IncomingMessage['headers'][];
  /** Answers whatever is asked from now on: a document, or by hand. */
  answer(how: unknown | ((request: IncomingMessage, response: ServerResponse) => void)): void;
  /** Down: connections are refused until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

export const startKeyServer = async (options: { readonly dns?: string[] } = {}): Promise<KeyServer> => {
  const [from, to] = [Date.now() - 60_000, Date.now() + 3_600_000];
  const ca = certificate({ subject: [{ CN: `test ca ${randomUUID()}` }], notBefore: from, notAfter: to, ca: true });
  const own = certificate({ by: ca, subject: [{ CN: 'keys' }], notBefore: from, notAfter: to, dns: options.dns ?? ['localhost'], serialHex: '02' });
  const dir = mkdtempSync(join(tmpdir(), 'curfew-keys-'));
  const caFile = join(dir, 'ca.pem');
  writeFileSync(caFile, ca.pem);
  const asked: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  let how: unknown = { keys: [] };
  const server = createServer({ key: own.keyPem, cert: own.pem }, (request, response) => {
    asked.push(request.url ?? '');
    headers.push(request.headers);
    if (typeof how === 'function') (how as (request: IncomingMessage, response: ServerResponse) => void)(request, response);
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(how));
  });
  const listen = (port: number) => new Promise<void>((resolve) => { server.listen(port, 'localhost', resolve); });
  // It goes down and comes up again at the same number, which nobody must be given in between.
  const [port = 0] = await freePorts(1);
  await listen(port);
  const down = () => new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
  return {
    origin: `https://localhost:${port}`,
    caFile,
    asked,
    headers,
    answer: (next) => { how = next; },
    down,
    up: () => listen(port),
    close: async () => {
      if (server.listening) await down();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};
