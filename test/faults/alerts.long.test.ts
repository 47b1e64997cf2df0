import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { befriend, Listener } from '../support/alerts-world.ts';
import { isActive, TestClient } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { privateRedis } from '../support/stores.ts';

let redis: EmbeddedRedis;
let rollcall: Deployment;

beforeAll(async () => {
  redis = await privateRedis();
  rollcall = await Deployment.start('alerts after a loss', {
    redisUrl: redis.url,
    webs: 2,
    // Any coming would be worth telling.
    env: { ALERT_STABLE_SECONDS: '0.2', ALERT_MIN_ABSENCE_SECONDS: '0', ALERT_COOLDOWN_SECONDS: '0' },
  });
});
afterAll(async () => {
  await rollcall?.stop();
  await redis?.stop();
});

test('after Redis was lost and everybody restored, nobody is told that they came, and later comings are told as ever', async () => {
  await befriend(rollcall.db, 'asker', 'stays', 'always');
  await befriend(rollcall.db, 'asker', 'comes', 'always');
  const asker = await Listener.connect(rollcall.web(0).url, 'asker', { watch: ['stays'] });
  const stays = await TestClient.connect(rollcall.web(1).url, 'stays');
  await eventually(
    () => asker.heardOf,
    (names) => names.length === 1,
  );
  await eventually(
    () => rollcall.db('users').where({ id: 'stays' }).first(),
    (row) => row?.status === 'active',
  );

  await rollcall.redis.flushall();
  // Active to active: the restored record has been told.
  await asker.client.hears('stays', isActive, { after: 1, withinMs: 20_000 });
  const comes = await TestClient.connect(rollcall.web(1).url, 'comes');
  await eventually(
    () => asker.heardOf,
    (names) => names.includes('comes'),
    10_000,
  );
  expect(asker.heardOf).toEqual(['stays', 'comes']);
  for (const client of [asker.client, stays, comes]) client.leave();
});
