/** What TLS listeners show, and whom they know. PEM texts. */
import { readFileSync } from 'node:fs';

export interface ListenerTls {
  /** Without a certificate and its key, nobody can connect. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** Authorities that sign client certificates; when set, clients are asked for one. An empty list knows nobody. */
  readonly clientCa?: string | Buffer | readonly string[] | undefined;
  readonly crl?: readonly string[];
}

/** As a listener is configured: files, or the Workload API. */
export interface TlsSetting {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly clientCa?: string | undefined;
  readonly workloadApi?: true | undefined;
  readonly clientTrustDomain?: string | undefined;
}

/** Throws when they can't be read. */
export const tlsFromFiles = ({ cert, key, clientCa }: TlsSetting): ListenerTls => ({
  ...(cert === undefined || key === undefined ? {} : { cert: readFileSync(cert), key: readFileSync(key) }),
  ...(clientCa === undefined ? {} : { clientCa: readFileSync(clientCa) }),
});

/** For creating a server, and for `setSecureContext` of a running one. */
export const secureContext = ({ cert, key, clientCa, crl }: ListenerTls) => ({
  ...(cert === undefined || key === undefined ? {} : { cert, key }),
  ...(clientCa === undefined ? {} : { ca: typeof clientCa === 'string' || Buffer.isBuffer(clientCa) ? clientCa : [...clientCa] }),
  ...(crl === undefined ? {} : { crl: [...crl] }),
  minVersion: 'TLSv1.2' as const,
});
