import { defineConfig } from 'vitest/config';

/**
 * A test lies beside its subject; how long it takes is in its name. `--mode long` selects `*.long.test.ts`, `--mode hours`
 * `*.hours.test.ts`, which take the machine for themselves for half an hour and more; every other mode those without either.
 * scripts/test.ts sets it.
 */
const SLOW = ['long', 'hours'];
// `--mode cluster`: what people meet, once more on a Redis Cluster, the long ones of it too.
const ON_A_CLUSTER = ['flow/*', 'visibility/*', 'faults/stores'];

export default defineConfig(({ mode }) => {
  const cluster = mode === 'cluster';
  const slow = SLOW.includes(mode);
  if (cluster) process.env.TEST_REDIS = 'cluster';
  const left = SLOW.filter((suffix) => !(cluster && suffix === 'long'));
  return {
    test: {
      include: cluster
        ? ON_A_CLUSTER.map((files) => `test/${files}.test.ts`)
        : [`test/**/*${slow ? `.${mode}` : ''}.test.{ts,tsx}`],
      exclude: slow ? [] : left.map((suffix) => `test/**/*.${suffix}.test.{ts,tsx}`),
      globalSetup: ['test/support/log-check.ts', 'test/support/global-setup.ts'],
      pool: 'forks',
      // Files wait for deadlines more than they compute: three at a time keep two cores busy. The long ones crowd, and
      // want the machine to themselves.
      maxWorkers: cluster || slow ? 1 : 3,
      // `--mode crossings`: with stores that are older or behind a pooler, named by scripts/crossings.ts.
      testTimeout: slow ? 300_000 : cluster || mode === 'crossings' ? 120_000 : 60_000,
      hookTimeout: 90_000,
      teardownTimeout: 30_000,
      sequence: { shuffle: { files: true } },
    },
  };
});
