/** One question over forward-auth, on a connection of its own. */
import { get } from 'node:http';

/** Was it allowed? Rejects when there was no answer. */
export const askOnce = (port: number, token: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': '/orders/1' };
    get({ port, host: '127.0.0.1', path: '/forward-auth', headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).once('error', reject);
  });
