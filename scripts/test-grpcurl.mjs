// grpcurl (a Go module, built into .cache/ once) asks a real node and both transports of ADR 0003, and the peers bench's OPA behind grpc-go is asked. Exit code 1 when one of them answers otherwise than it should.
// Run: npm run test:grpcurl
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '1.9.4';
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, '.cache', `grpcurl-${VERSION}`);
const program = join(folder, 'grpcurl');

if (!existsSync(program)) {
  mkdirSync(folder, { recursive: true });
  try {
    execFileSync('go', ['install', `github.com/fullstorydev/grpcurl/cmd/grpcurl@v${VERSION}`], { cwd: folder, stdio: 'inherit', env: { ...process.env, GOBIN: folder } });
  } catch (error) {
    throw new Error(`go could not build grpcurl ${VERSION}; it needs Go: https://go.dev/dl`, { cause: error });
  }
}
const { status, error } = spawnSync(join(root, 'node_modules', '.bin', 'vitest'), ['run', '--config', 'vitest.slow.config.ts', 'grpcurl', 'opa-grpc'], { cwd: root, stdio: 'inherit', env: { ...process.env, CURFEW_TEST_GRPCURL: program } });
if (error !== undefined) throw error;
process.exitCode = status ?? 1;
