import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { type Config, readConfig } from '../../src/config/config.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { FollowUps } from '../../src/queues/follow-ups.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { runMaintenance } from '../../workers/maintenance.ts';
import { RoomFollower } from '../../workers/rooms.ts';
import { Sweep } from '../../workers/sweep.ts';
import { eventually } from '../support/eventually.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

const log = pino({ level: 'silent' });

let testStores: TestStores;
let config: Config;
let stores: Stores;
let sweep: Sweep;

beforeAll(async () => {
  testStores = await openTestStores('sweep');
});
beforeEach(async () => {
  config = readConfig({
    REDIS_URL: testStores.redisUrl,
    ...testStores.redisSentinels,
    REDIS_CLUSTER: `${testStores.redisCluster}`,
    REDIS_PREFIX: `${testStores.redisPrefix}${randomUUID()}:`,
    DATABASE_URL: testStores.databaseUrl,
    JWT_SECRET: 'a secret that nobody signs anything with',
  });
  stores = openStores(config, log);
  const followUps = new FollowUps(stores.queues, log);
  sweep = new Sweep(stores, config, log, followUps, new RoomFollower(stores, followUps, 1000));
  await once(stores.redis, 'ready');
  await eventually(
    () => stores.queues.anyInHand().catch(() => null),
    (answer) => answer === false,
  );
  return async () => {
    await sweep.stop();
    await stores.close();
  };
});
afterAll(() => testStores?.close());

/** The runs that are to complete last seen, but for those of the schedule. */
async function completions(): Promise<string[]> {
  const jobs = await stores.queues.queue('maintenance').getJobs(['delayed', 'waiting']);
  return jobs.flatMap(({ name, id = '' }) => (name === 'complete-seen' && !id.startsWith('repeat:') ? id : []));
}

test('whenever Redis is there anew, last seen is completed without waiting for the schedule', async () => {
  sweep.start();
  const [first] = await eventually(completions, (ids) => ids.length === 1);
  const back = new Promise<void>((resolve) => stores.pulse.onBack(() => resolve()));
  stores.redis.disconnect(true);
  await back;
  const both = await eventually(completions, (ids) => ids.length === 2);
  expect(both).toContain(first);
});

test('what a run for last seen had to wait for is looked at again long before the schedule has its next', async () => {
  const { pulse, keys, redis, queues } = stores;
  await pulse.beat();
  await queues.addCompleteSeen(3_600_000);
  const [asked = ''] = await completions();
  const job = await queues.queue('maintenance').getJob(asked);
  if (!job) throw new Error(`there is no job ${asked}`);
  // The webs have not had their time to tell of theirs.
  const { nextInMs } = (await runMaintenance(stores, config, job)) as { nextInMs: number };
  const [after = ''] = (await completions()).filter((id) => id !== asked);
  expect((await queues.queue('maintenance').getJob(after))?.delay).toBe(nextInMs);
  await Promise.all(keys.pulseShards.map((shard) => redis.set(keys.epoch(shard), `${Date.now() - 10_000} test`)));
  const unreachable = connectPostgres(
    { ...config, databaseUrl: `postgres://nobody@127.0.0.1:${await freePort()}/nowhere` },
    log,
  );
  expect(await runMaintenance({ ...stores, db: unreachable }, config, job)).toEqual({ waiting: 'PostgreSQL is away' });
  const [again = ''] = (await completions()).filter((id) => id !== asked && id !== after);
  expect((await queues.queue('maintenance').getJob(again))?.delay).toBeLessThan(60_000);
  await unreachable.destroy();
});

test('a sweep that finds nobody says so, until something is recorded', async () => {
  sweep.start();
  await eventually(
    () => sweep.findsNobody,
    (found) => found,
  );
  sweep.soon();
  expect(sweep.findsNobody).toBe(false);
  await eventually(
    () => sweep.findsNobody,
    (found) => found,
  );
  // Somebody who is to be looked at in an hour.
  const { now } = await stores.seen.state();
  await stores.redis.zadd(stores.keys.due(3), now + 3_600_000, 'somebody');
  await eventually(
    () => sweep.findsNobody,
    (found) => !found,
  );
});
