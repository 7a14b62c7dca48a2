/** Schemathesis against a running server, by an OpenAPI document: got by `npm run test:schemathesis`, which says where its Python is. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PYTHON = process.env['CURFEW_TEST_SCHEMATHESIS'] ?? '';
const EXAMPLES = process.env['CURFEW_TEST_EXAMPLES'] ?? '30';
const SEED = process.env['CURFEW_TEST_SEED'] ?? '1';
export const RUN_MS_MAX = 900_000;
const CHECKS = ['not_a_server_error', 'status_code_conformance', 'content_type_conformance', 'response_schema_conformance', 'response_headers_conformance'];

export interface Found {
  readonly code: number | null;
  readonly output: string;
}

/** `document`: a URL, or a file and the URL of the server. `ids`: of things that are there, by the path that names them, so that answers about them are seen too. */
export const schemathesis = (options: {
  readonly folder: string;
  readonly document: string;
  readonly url?: string;
  readonly token: string;
  /** What the document forbids must be refused. */
  readonly refusesNegative: boolean;
  readonly ids?: readonly (readonly [string, string])[];
}): Promise<Found> => {
  const { folder, document, url, token, refusesNegative, ids = [] } = options;
  const config = join(folder, 'schemathesis.toml');
  writeFileSync(config, [
    // What is too large is refused by its size, whatever else is wrong with it.
    '[checks.negative_data_rejection]', 'expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422, 431]',
    ...ids.flatMap(([path, id]) => ['[[operations]]', `include-path-regex = ${JSON.stringify(`${path}$`)}`, `parameters = { id = ${JSON.stringify(id)} }`]),
  ].join('\n'));
  const child = spawn(PYTHON, [
    '-c', 'from schemathesis.cli import schemathesis; schemathesis()', '--config-file', config, '--no-color',
    'run', document, ...(url === undefined ? [] : ['--url', url]), '--header', `Authorization: Bearer ${token}`,
    '--checks', [...CHECKS, ...(refusesNegative ? ['negative_data_rejection'] : [])].join(','), '--phases', 'examples,coverage,fuzzing',
    '--max-examples', EXAMPLES, '--seed', SEED, '--workers', '1', '--request-timeout', '30', '--generation-database', 'none', '--warnings', 'off',
  ], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], timeout: RUN_MS_MAX, killSignal: 'SIGKILL' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => { output += chunk; });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
};

/** The findings and the summary; a line may be as long as a request. */
export const shown = (output: string): string => output.split('\n').map((line) => line.slice(0, 400)).join('\n');
