import { defineConfig } from 'vitest/config';

/** Proofs that take minutes: `npm run test:toolchain`, `npm run test:faults`. */
export default defineConfig({ test: { include: ['test/**/*.slow.ts'], pool: 'forks', hookTimeout: 300_000 } });
