/**
 * Makes the signed bundles beside this file with the pinned OPA: `node test/policy/signed/build.mjs`. They show on machines
 * without Go that what OPA signs is taken. The private keys are thrown away, so every run makes others.
 */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOpa, runOpa } from '../../../scripts/opa.mjs';

const here = import.meta.dirname;
const folder = mkdtempSync(join(tmpdir(), 'curfew-sign-'));
const source = join(folder, 'source');
mkdirSync(join(source, 'sub'), { recursive: true });
writeFileSync(join(source, 'p.rego'), 'package p\n\nallow := true\n');
writeFileSync(join(source, 'data.json'), '{"n": 1.50, "b": 1E5, "é": "\\u2028<>&", "a": [123456789012345678901234567890]}');
writeFileSync(join(source, 'sub/data.json'), '{"k": 1}');
writeFileSync(join(source, '.manifest'), '{"revision": "kept-1", "roots": [""]}');
const claims = join(folder, 'claims.json');
writeFileSync(claims, '{"scope": "write", "iat": 1700000000}');

const pair = (algorithm, type, options) => {
  const { privateKey, publicKey } = generateKeyPairSync(type, options);
  writeFileSync(join(folder, `${algorithm}.key`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(here, `${algorithm}.pub`), publicKey.export({ type: 'spki', format: 'pem' }));
  return ['--signing-key', join(folder, `${algorithm}.key`), '--signing-alg', algorithm, '--claims-file', claims];
};

const opa = findOpa();
runOpa(opa, ['build', '--bundle', '.', ...pair('PS512', 'rsa', { modulusLength: 2048 }), '--output', join(here, 'build-PS512.tar.gz')], source);
runOpa(opa, ['sign', '--bundle', '.', ...pair('ES256', 'ec', { namedCurve: 'P-256' })], source);
execFileSync('tar', ['-czf', join(here, 'sign-ES256.tar.gz'), '--sort=name', '--owner=0', '--group=0', '--mtime=@0', '.manifest', '.signatures.json', 'data.json', 'p.rego', 'sub/data.json'], { cwd: source });
rmSync(folder, { recursive: true });
