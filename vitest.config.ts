import { defineConfig } from 'vitest/config';

// `--mode long` selects the long tests, `--mode laboratory` those that take the machine for themselves for long;
// scripts/test.ts sets it.
const FOLDERS: Record<string, string> = { long: 'test/full', laboratory: 'test/laboratory' };
// `--mode cluster`: what people meet, once more on a Redis Cluster.
const ON_A_CLUSTER = ['flow/*', 'visibility/*', 'faults/stores', 'full/alerts-flow*', 'full/erasure*'];

export default defineConfig(({ mode }) => {
  const cluster = mode === 'cluster';
  // `--mode crossings`: files of whichever part, named by scripts/crossings.ts.
  const anyPart = cluster || mode === 'crossings';
  if (cluster) process.env.TEST_REDIS = 'cluster';
  const folder = FOLDERS[mode] ?? 'test';
  return {
    test: {
      include: cluster ? ON_A_CLUSTER.map((files) => `test/${files}.test.ts`) : [`${folder}/**/*.test.{ts,tsx}`],
      exclude: anyPart || FOLDERS[mode] ? [] : Object.values(FOLDERS).map((long) => `${long}/**`),
      globalSetup: ['test/support/log-check.ts', 'test/support/global-setup.ts'],
      pool: 'forks',
      // Files wait for deadlines more than they compute: three at a time keep two cores busy. The long ones crowd, and
      // want the machine to themselves.
      maxWorkers: cluster || FOLDERS[mode] ? 1 : 3,
      testTimeout: FOLDERS[mode] ? 300_000 : anyPart ? 120_000 : 60_000,
      hookTimeout: 90_000,
      teardownTimeout: 30_000,
      sequence: { shuffle: { files: true } },
    },
  };
});
