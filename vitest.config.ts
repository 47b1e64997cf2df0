import { defineConfig } from 'vitest/config';

/**
 * A test lies beside its subject; how long it takes is in its name. `--mode long` selects `*.long.test.ts`, `--mode hours`
 * `*.hours.test.ts`, which take the machine for themselves for half an hour and more; every other mode those without either.
 * scripts/test.ts sets it.
 */
const SLOW = ['long', 'hours'];
/** Of the long ones, those in which people come in crowds or a processor is kept busy: they want the machine to themselves. */
const CROWDS = [
  'doors/fuzz',
  'doors/slow-readers',
  'faults/empty-redis',
  'faults/processes',
  'faults/rolling-restart',
  'setup/helm',
  'web/degrade',
].map((name) => `test/${name}.long.test.ts`);
// `--mode cluster`: what people meet, once more on a Redis Cluster, the long ones of it too.
const ON_A_CLUSTER = ['flow/*', 'visibility/*', 'rooms/rooms', 'rooms/told.long', 'faults/stores.long'];

export default defineConfig(({ mode }) => {
  const cluster = mode === 'cluster';
  const slow = SLOW.includes(mode);
  if (cluster) process.env.TEST_REDIS = 'cluster';
  const named = cluster || mode === 'crossings';
  const left = SLOW.filter((suffix) => !(named && suffix === 'long'));
  const common = {
    pool: 'forks' as const,
    // `--mode crossings`: with stores that are older or behind a pooler; scripts/crossings.ts names them and the files.
    testTimeout: slow ? 300_000 : named ? 120_000 : 60_000,
    hookTimeout: 90_000,
  };
  const files = {
    include: cluster
      ? ON_A_CLUSTER.map((some) => `test/${some}.test.ts`)
      : [`test/**/*${slow ? `.${mode}` : ''}.test.{ts,tsx}`],
    exclude: slow ? [] : left.map((suffix) => `test/**/*.${suffix}.test.{ts,tsx}`),
  };
  const shuffle = { files: true };
  return {
    test: {
      globalSetup: ['test/support/log-check.ts', 'test/support/global-setup.ts'],
      teardownTimeout: 30_000,
      sequence: { shuffle },
      // Files wait for deadlines more than they compute: three at a time keep two cores busy, of the long ones two.
      ...(mode === 'long'
        ? {
            projects: [
              { include: files.include, exclude: CROWDS, maxWorkers: 2, sequence: { shuffle, groupOrder: 0 } },
              { include: CROWDS, maxWorkers: 1, sequence: { shuffle, groupOrder: 1 } },
            ].map((test, n) => ({ test: { name: n === 0 ? 'two at a time' : 'alone', ...common, ...test } })),
          }
        : { ...common, ...files, maxWorkers: cluster || slow ? 1 : 3 }),
    },
  };
});
