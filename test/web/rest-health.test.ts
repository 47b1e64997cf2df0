import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { createHealthProbe } from '../../src/web/operations/health-probe.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let testStores: TestStores;
beforeAll(async () => {
  testStores = await openTestStores('health');
});
afterAll(() => testStores.close());

const opened: Stores[] = [];
afterEach(async () => {
  for (const stores of opened.splice(0)) await stores.close();
});

function probe({ redis = true, postgres = true, draining = false }) {
  const config = readConfig({
    JWT_SECRET: 'a secret for the tests of the front door',
    REDIS_URL: redis ? testStores.redisUrl : 'redis://127.0.0.1:1',
    REDIS_PREFIX: testStores.redisPrefix,
    DATABASE_URL: postgres ? testStores.databaseUrl : 'postgres://127.0.0.1:1/nowhere',
  });
  const stores = openStores(config, pino({ level: 'silent' }));
  opened.push(stores);
  return createHealthProbe(
    stores,
    () => draining,
    () => 0,
  );
}

test.each([
  ['everything is there', {}, { ready: true, redis: true, postgres: true, queue: true, draining: false }],
  ['PostgreSQL is away', { postgres: false }, { ready: true, redis: true, postgres: false, queue: true }],
  ['Redis is away', { redis: false }, { ready: false, redis: false, postgres: true, queue: false }],
  ['the process drains', { draining: true }, { ready: false, redis: true, postgres: true, draining: true }],
])('%s: readiness says so, soon', async (_what, world, told) => {
  const health = probe(world);
  // The connections are still being made.
  await vi.waitFor(async () => expect(await health.read()).toMatchObject({ ...told, level: 0 }), { timeout: 10_000 });
  const asked = performance.now();
  const answers = await Promise.all([health.read(), health.read()]);
  expect(performance.now() - asked).toBeLessThan(2000);
  for (const answer of answers) expect(answer).toMatchObject(told);
});
