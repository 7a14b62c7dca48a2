/** Port 0: what was chosen may be another program's before it is bound. */
import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { findFreePorts, onFreePorts, type FreePorts } from '../../src/supervisor/free-ports.ts';

const config = (http: number, grpc: number) => configSchema.parse({ http: { port: http }, grpc: { port: grpc } });
const picking = (...numbers: readonly number[]) => {
  const left = [...numbers];
  return () => left.shift() as number;
};
const TAKEN = new Error('taken');
const isTaken = (error: unknown): boolean => error === TAKEN;
const finding = (...found: readonly FreePorts[]) => {
  const left = [...found];
  return async () => left.shift() as FreePorts;
};

test('both listeners get a port of their own, although nothing is bound yet', async () => {
  expect(await findFreePorts(config(0, 0), picking(23_451, 23_451, 23_452))).toEqual({ http: 23_451, grpc: 23_452 });
});

test('one that is in use is not chosen, and one that is configured stays', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo;
  try {
    expect(await findFreePorts(config(0, 7_001), picking(port, 23_453))).toEqual({ http: 23_453, grpc: undefined });
  } finally {
    server.close();
  }
});

test('what somebody else has by then is chosen anew; a port that was configured, another failure, and a third one are told', async () => {
  const tried: FreePorts[] = [];
  const start = (failures: number, error: Error) => async (ports: FreePorts): Promise<string> => {
    tried.push(ports);
    if (tried.length <= failures) throw error;
    return 'started';
  };
  const [a, b, c] = [1, 2, 3].map((http) => ({ http, grpc: undefined })) as [FreePorts, FreePorts, FreePorts];
  expect(await onFreePorts(finding(a, b, c), start(1, TAKEN), isTaken)).toBe('started');
  expect(tried.splice(0)).toEqual([a, b]);
  await expect(onFreePorts(finding(a, b, c), start(3, TAKEN), isTaken)).rejects.toBe(TAKEN);
  expect(tried.splice(0)).toEqual([a, b, c]);
  await expect(onFreePorts(finding({ http: undefined, grpc: undefined }), start(1, TAKEN), isTaken)).rejects.toBe(TAKEN);
  expect(tried.splice(0)).toHaveLength(1);
  await expect(onFreePorts(finding(a), start(1, new Error('other')), isTaken)).rejects.toThrow('other');
  expect(tried.splice(0)).toHaveLength(1);
});
