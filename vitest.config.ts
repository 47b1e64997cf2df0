import { createHash } from 'node:crypto';
import { relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * A test lies beside its subject; how long it takes is in its name. `--mode long` selects `*.long.test.ts`, `--mode hours`
 * `*.hours.test.ts`, which take the machine for themselves for half an hour and more; every other mode those without either.
 * scripts/test.ts sets it.
 */
const SLOW = ['long', 'hours'];
/**
 * Of the long ones, those in which people come in crowds, a processor is kept busy, or a store is lost and it counts how soon all is as it was:
 * they want the machine to themselves.
 */
const CROWDS = [
  'doors/fuzz',
  'doors/limits',
  'doors/slow-readers',
  'faults/behind',
  'faults/cluster-failover',
  'faults/empty-redis',
  'faults/failover',
  'faults/processes',
  'faults/rolling-restart',
  'faults/stores',
  'rooms/cluster',
  'setup/helm',
  'web/degrade',
].map((name) => `test/${name}.long.test.ts`);
/** Of the others those that take a minute and a half and more: begun last, they would end alone. */
const LONGEST = [
  'browser/browsers',
  'browser/browsers-outage',
  'client/tokens',
  'faults/clock-steps',
  'faults/redis-refuses',
  'faults/sentinel-failover',
  'flow/erasure',
  'queues/paused',
].map((name) => `test/${name}.long.test.ts`);

/** Any order, by the seed that is told, but that the longest begin first. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { root, sequence } = this.ctx.config;
    this.ctx.logger.log(`Files come in the order of --sequence.seed=${sequence.seed}`);
    const places = files.map((file) => {
      const name = relative(root, file.moduleId);
      const drawn = createHash('sha1').update(`${sequence.seed} ${name}`).digest('hex');
      return { file, place: `${LONGEST.includes(name) ? 0 : 1}${drawn}` };
    });
    return places.sort((one, other) => (one.place < other.place ? -1 : 1)).map(({ file }) => file);
  }
}

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
    setupFiles: ['test/support/keep-compiled.ts'],
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
  return {
    test: {
      globalSetup: ['test/support/log-check.ts', 'test/support/global-setup.ts'],
      teardownTimeout: 30_000,
      sequence: mode === 'long' ? { seed: Date.now(), sequencer: LongestFirst } : { shuffle: { files: true } },
      // What was transformed is read by all of them, and by the next run.
      experimental: { fsModuleCache: true },
      // Files wait for deadlines more than they compute: three at a time keep two cores busy.
      ...(mode === 'long'
        ? {
            projects: [
              { include: files.include, exclude: CROWDS, maxWorkers: 3, sequence: { groupOrder: 0 } },
              { include: CROWDS, maxWorkers: 1, sequence: { groupOrder: 1 } },
            ].map((test, n) => ({ test: { name: n === 0 ? 'three at a time' : 'alone', ...common, ...test } })),
          }
        : { ...common, ...files, maxWorkers: cluster || slow ? 1 : 3 }),
    },
  };
});
