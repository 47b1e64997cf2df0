import { defineConfig } from 'vitest/config';

// `--mode long` selects the long tests; scripts/test.ts sets it.
export default defineConfig(({ mode }) => ({
  test: {
    include: mode === 'long' ? ['test/full/**/*.test.{ts,tsx}'] : ['test/**/*.test.{ts,tsx}'],
    exclude: mode === 'long' ? [] : ['test/full/**'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    // Files wait for deadlines more than they compute: three at a time keep two cores busy.
    maxWorkers: 3,
    testTimeout: mode === 'long' ? 300_000 : 60_000,
    hookTimeout: 90_000,
    teardownTimeout: 30_000,
    sequence: { shuffle: { files: true } },
  },
}));
