/** What a start prints: for production one line with the addresses, for development lines to paste that show what Curfew does. */
import { join } from 'node:path';
import { DEVELOPMENT_TOKEN_FILE } from './operator-token.ts';
import type { RunningSupervisor } from './supervisor.ts';

const quoted = (text: string): string => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);

const addresses = ({ ports, config }: RunningSupervisor): readonly string[] => {
  const { http, grpc, admin } = config;
  const scheme = http.tls === undefined ? 'http' : 'https';
  return [
    ...(ports.http === undefined ? [] : [`decisions over HTTP on ${scheme}://${http.host}:${ports.http}`]),
    ...(http.unix === undefined ? [] : [`decisions over HTTP on unix:${http.unix.path}`]),
    ...(ports.grpc === undefined ? [] : [`over gRPC on ${grpc.host}:${ports.grpc}`]),
    ...(grpc.unix === undefined ? [] : [`over gRPC on unix:${grpc.unix.path}`]),
    ...(ports.signals === undefined ? [] : [`webhooks on ${config.signals.tls === undefined ? 'http' : 'https'}://${config.signals.host}:${ports.signals}`]),
    `administration on ${admin.tls === undefined ? 'http' : 'https'}://${admin.host}:${ports.admin}`,
  ];
};

export const announceProduction = (running: RunningSupervisor): string => `Curfew serves: ${addresses(running).join(', ')}\n`;

const WORKLOAD = 'spiffe://dev.local/ci/deployer';

/** The lines can be pasted into a POSIX shell as they stand; a test does. No quote in a comment: not every shell takes comments. */
export const announceDevelopment = (running: RunningSupervisor, directory: string, entry: string): string => {
  const { ports } = running;
  const decide = `http://127.0.0.1:${ports.http}`;
  const admin = `http://127.0.0.1:${ports.admin}`;
  const ask = `curl -si ${decide}/forward-auth -H "Authorization: Bearer $TOKEN" -H 'X-Forwarded-Method: GET' -H 'X-Forwarded-Proto: http' -H 'X-Forwarded-Host: shop.local' -H 'X-Forwarded-Uri: /orders/42' | grep -Ei '^(HTTP|x-curfew)'`;
  const post = (path: string, body: string): string => `curl -s ${admin}${path} -H "Authorization: Bearer $ADMIN" -H 'Content-Type: application/json' -d ${body}`;
  const grant = JSON.stringify({
    workload: WORKLOAD, model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
    ttlMs: 60_000, owner: 'team:shop', justification: 'trying it out', reference: 'TRY-1',
  });
  return `
Curfew runs: ${addresses(running).join(', ')}.

Its one rule: no access without a grant, and every grant ends. This is development: identities and the operator
token are made here, for this machine alone. Everything lies in ${directory}. Stop it with Ctrl-C.

Try it: paste these lines into another terminal.

# An identity for a CI job, and the token of the operator
TOKEN=$(node ${quoted(entry)} dev-token --dir ${quoted(directory)} --workload ${WORKLOAD})
ADMIN=$(cat ${quoted(join(directory, DEVELOPMENT_TOKEN_FILE))})

# 1. Nothing is granted: 403, grant.none
${ask}

# 2. Grant the job to read orders, for 60 seconds
GRANT=$(${post('/v1/grants', quoted(grant))}); echo "$GRANT"
ID=$(node -pe 'JSON.parse(process.argv[1]).id' "$GRANT")

# 3. The same question: 200, and until when it holds
${ask}

# 4. Take it back before its time
${post('/v1/revocations', `'{"selector":{"kind":"grant","value":"'$ID'"},"reason":"enough of it"}'`)}; echo

# 5. The same question: 403, grant.revoked
${ask}

`;
};
