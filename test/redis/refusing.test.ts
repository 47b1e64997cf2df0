import { Redis } from 'ioredis';
import { afterEach, expect, test } from 'vitest';
import { RedisClock } from '../../src/redis/clock.ts';
import { connectRedis } from '../../src/redis/connect.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { Pulse } from '../../src/redis/pulse.ts';
import { runScript } from '../../src/redis/scripts.ts';
import { eventually } from '../support/eventually.ts';
import { privateRedis } from '../support/stores.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

test('a Redis that refuses answers nobody over a new connection either, until it takes writes again', async () => {
  const server = await privateRedis();
  ending.push(() => server.stop());
  const admin = new Redis(server.port);
  ending.push(() => admin.disconnect());
  const settings = { urls: [server.url], cluster: false, sentinels: null, tlsRejectUnauthorized: true };
  const redis = connectRedis(settings, 'prompt');
  redis.on('error', () => {});
  ending.push(() => redis.disconnect());
  const keys = createKeys('', false);
  const pulse = new Pulse(redis, keys, new RedisClock(keys.slotGroups.length));
  const asks = () => runScript(redis, 'time', [keys.pulse(0)], []);
  // The first to hear of each new connection, before the pulse does.
  const answers: Promise<unknown>[] = [];
  redis.on('ready', () => {
    answers.push(
      asks().then(
        () => 'answered',
        (error: Error) => error.name,
      ),
    );
  });
  pulse.start();
  ending.push(() => pulse.stop());
  await eventually(
    async () => pulse.alive,
    (alive) => alive,
  );
  expect(await Promise.all(answers.splice(0))).toEqual(['answered']);

  await admin.replicaof('127.0.0.1', 1);
  await eventually(
    async () => pulse.absence?.kind,
    (kind) => kind === 'READONLY',
  );
  for (let n = 0; n < 3; n++) {
    answers.length = 0;
    redis.disconnect(true);
    await eventually(
      async () => answers.length,
      (length) => length > 0,
    );
    expect(await Promise.all(answers)).not.toContain('answered');
  }

  await admin.replicaof('NO', 'ONE');
  await eventually(
    async () => pulse.alive,
    (alive) => alive,
  );
  expect(await asks()).toHaveLength(2);
});
