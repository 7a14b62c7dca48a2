/** The service behind a gateway: answers 200 to whatever reaches it, and remembers every request as it arrived. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Hit {
  readonly method: string;
  /** Request target, byte for byte. */
  readonly target: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface Service {
  readonly port: number;
  readonly hits: Hit[];
  close(): Promise<void>;
}

/** Between two events of a stream. */
export const BEAT_MS = 20;

/** Paths under `/stream` are answered with endless server-sent events, one every `BEAT_MS`; `/fails` with 500. */
export const startService = async (): Promise<Service> => {
  const hits: Hit[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      hits.push({
        method: request.method ?? '', target: request.url ?? '', headers: request.headers, rawHeaders: request.rawHeaders, body: Buffer.concat(chunks).toString(),
      });
      if (request.url?.startsWith('/stream') === true) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const beat = setInterval(() => response.write('data: beat\n\n'), BEAT_MS);
        response.once('close', () => clearInterval(beat));
        return;
      }
      response.writeHead(request.url === '/fails' ? 500 : 200, { 'content-type': 'text/plain', 'x-service': 'yes' });
      response.end('served');
    });
  });
  server.on('upgrade', (request, socket) => {
    hits.push({ method: request.method ?? '', target: request.url ?? '', headers: request.headers, rawHeaders: request.rawHeaders, body: '' });
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  });
  // What node refuses to parse has reached the service all the same.
  server.on('clientError', (error: Error & { rawPacket?: Buffer }, socket) => {
    // A connection that ends, with nothing on it.
    if (error.rawPacket === undefined) return void socket.destroy();
    const [line = ''] = error.rawPacket.toString('latin1').split('\r\n', 1);
    const [method = '', ...rest] = line.split(' ');
    hits.push({ method, target: rest.slice(0, -1).join(' '), headers: {}, rawHeaders: [], body: '' });
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    hits,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
