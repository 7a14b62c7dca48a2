import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests start real processes and real gateways: forks, not threads, and few of them at once.
    pool: 'forks',
    maxWorkers: 2,
    // Generous: a busy machine makes real processes slow, and no test waits for time to pass.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    teardownTimeout: 10_000,
    passWithNoTests: false,
    // A test that leaves a promise or a handle behind shows it here.
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
