import { once } from 'node:events';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import type { EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { readConfig } from '../../src/config/config.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { Presence } from '../../src/usecases/presence.ts';
import type { Connection } from '../../src/web/sessions/connection.ts';
import { Connections } from '../../src/web/sessions/connections.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { privateRedis } from '../support/stores.ts';
import { ENV, ending, TTL_MS } from './outage.ts';

const SESSIONS = 3000;
const BEAT_EVERY_MS = 700;
const LOG = pino({ level: 'silent' });
/** Somebody else's script, for as long as is said (ms): Redis does nothing else meanwhile. */
const BUSY = `local t = redis.call('TIME')
  local til = t[1] * 1000 + t[2] / 1000 + ARGV[1]
  repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > til`;

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

interface World {
  rollcall: Deployment;
  redis: EmbeddedRedis;
  stores: Stores;
  connections: Connections;
}

/** A worker process, and this process as its web. */
async function start(name: string): Promise<World> {
  const redis = await privateRedis();
  ending.push(() => redis.stop());
  const rollcall = await Deployment.start(name, { redisUrl: redis.url, webs: 0, env: ENV });
  ending.push(() => rollcall.stop());
  const config = readConfig(rollcall.env);
  const stores = openStores(config, LOG);
  ending.push(() => stores.close());
  await once(stores.redis, 'ready');
  const presence = new Presence(stores, config.ttlMs, LOG);
  const connections = new Connections(presence, stores, config, LOG, () => 1);
  ending.push(() => connections.stop());
  return { rollcall, redis, stores, connections };
}

function open({ connections }: World, userId: string): Promise<Connection> {
  const sessionId = `d${userId.padStart(21, '-')}`;
  return connections.open({ userId, sessionId, kind: 'other', name: '', claims: {}, end: () => {} });
}

/** Many who beat all the time, and one who never does. */
async function crowd(world: World): Promise<{ silent: Connection; beating: Connection[] }> {
  const beating: Connection[] = [];
  const timer = setInterval(() => {
    for (const connection of beating) world.connections.beat(connection, null);
  }, BEAT_EVERY_MS);
  ending.push(() => clearInterval(timer));
  const silent = await open(world, 'silent');
  for (let n = 0; n < SESSIONS; n += 250) {
    beating.push(...(await Promise.all(Array.from({ length: 250 }, (_, k) => open(world, `user-${n + k}`)))));
  }
  return { silent, beating };
}

/** Everybody is told by Redis itself once it is free: who was said to have left in the meantime? */
async function leftMeanwhile({ rollcall, stores }: World): Promise<string[]> {
  await eventually(
    () => stores.outbox.allRecorded(),
    (all) => all,
    20_000,
  );
  return rollcall.db('status_transitions').where({ status: 'inactive' }).distinct('user_id').pluck('user_id');
}

test('a Redis that comes back so slow that a web needs seconds to tell of the beats it kept expires nobody who kept beating', async () => {
  const world = await start('behind after an outage');
  const { beating } = await crowd(world);
  await world.redis.kill('SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, TTL_MS + 1000));
  const other = world.rollcall.redis;
  await world.redis.kill('SIGCONT');
  // Whatever the web asks for has to wait for so long, from its first question on.
  for (let n = 0; n < 12; n++) await other.eval(BUSY, 0, 300);
  for (const connection of beating.slice(0, 2)) {
    await eventually(
      () => world.stores.redis.exists(`${world.rollcall.prefix}user:status:${connection.userId}`),
      (exists) => exists === 1,
    );
  }
  // That somebody left is still noticed.
  await eventually(
    () => world.rollcall.db('users').where({ id: 'silent' }).first(),
    (row) => row?.status === 'inactive',
    10_000,
  );
  expect((await leftMeanwhile(world)).slice(0, 5)).toEqual(['silent']);
});
