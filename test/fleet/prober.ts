/** One connection that asks the same question of one node again and again, as cheaply as can be: for very many questions. */
import { connect, type Socket } from 'node:net';
import { openClient, unary } from '../grpc/grpc-js.ts';
import type { Curfew } from '../runtime/curfew.ts';

export interface Prober {
  /** The status of one question; rejects when the connection breaks. One at a time. */
  ask(credential: string): Promise<number>;
  close(): void;
}

const requestOf = (credential: string): string =>
  [
    'GET /forward-auth HTTP/1.1', 'host: 127.0.0.1', `authorization: Bearer ${credential}`, 'x-forwarded-method: POST', 'x-forwarded-proto: http',
    'x-forwarded-host: shop.local', 'x-forwarded-uri: /deploy/1', '', '',
  ].join('\r\n');

/** The status of the answer that `text` begins with, once it is whole. */
const statusOf = (text: string): number | undefined => {
  const head = text.indexOf('\r\n\r\n');
  if (head === -1) return undefined;
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1] ?? 0);
  return text.length < head + 4 + length ? undefined : Number(text.slice(9, 12));
};

/** As a gateway does: where an answer says that its connection is to be closed, what comes next is asked over another one. */
export const startProber = async (node: Curfew): Promise<Prober> => {
  interface Connection {
    readonly socket: Socket;
    readonly ask: (credential: string) => Promise<number>;
    last: boolean;
  }
  const open = (): Promise<Connection> =>
    new Promise((connected, refused) => {
      const socket = connect({ port: node.ports.http, host: '127.0.0.1', noDelay: true });
      let waiting: { readonly resolve: (status: number) => void; readonly reject: (error: Error) => void } | undefined;
      let text = '';
      let broken: Error | undefined;
      const fail = (error: Error): void => {
        broken ??= error;
        refused(broken);
        waiting?.reject(broken);
      };
      const ask = (credential: string): Promise<number> =>
        new Promise((resolve, reject) => {
          waiting = { resolve, reject };
          if (broken === undefined) socket.write(requestOf(credential));
          else reject(broken);
        });
      const connection: Connection = { socket, ask, last: false };
      socket.setEncoding('latin1').on('error', fail).on('close', () => fail(new Error('the node closed the connection')));
      socket.on('data', (chunk: string) => {
        text += chunk;
        const status = statusOf(text);
        if (status === undefined) return;
        connection.last = /\r\nconnection: *close\r\n/i.test(text);
        text = '';
        const { resolve } = waiting ?? {};
        waiting = undefined;
        resolve?.(status);
      });
      socket.once('connect', () => connected(connection));
    });
  let connection = await open();
  return {
    ask: async (credential) => {
      if (connection.last) connection = await open();
      return connection.ask(credential);
    },
    close: () => connection.socket.destroy(),
  };
};

const CHECK = '/envoy.service.auth.v3.Authorization/Check';
const TYPES = ['envoy.service.auth.v3.CheckRequest', 'envoy.service.auth.v3.CheckResponse'] as const;

/** The same question as Envoy asks it, over one HTTP/2 connection. */
export const startGrpcProber = async (node: Curfew): Promise<Prober> => {
  const client = openClient(`127.0.0.1:${node.ports.grpc}`);
  await new Promise<void>((connected, refused) => {
    client.waitForReady(Date.now() + 60_000, (error) => (error === undefined ? connected() : refused(error)));
  });
  return {
    ask: async (credential) => {
      const http = { method: 'POST', path: '/deploy/1', host: 'shop.local', scheme: 'http', headers: { authorization: `Bearer ${credential}` } };
      const { okResponse, deniedResponse } = await unary(client, CHECK, TYPES, { attributes: { request: { http } } });
      return okResponse === undefined ? Number(String(deniedResponse?.status?.code).replace(/\D/g, '')) : 200;
    },
    close: () => client.close(),
  };
};
