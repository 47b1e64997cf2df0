import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKeys, shardOf } from '../../src/redis/keys.ts';
import { isActive, isInactive, TestClient } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

let rollcall: Deployment;
let watcher: TestClient;

beforeAll(async () => {
  rollcall = await Deployment.start('older entries', { workers: 0, env: CALM });
  watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['told', 'left', 'named'] });
});
afterAll(() => rollcall?.stop());

test('a web tells what a worker of 0.1 has delivered', async () => {
  const { redis } = rollcall;
  const at = Date.now();
  const change = { userId: 'told', status: 'active', lastSeen: at, version: at, at, cause: 'connect', awaySince: null };
  const batch = { shard: shardOf('told'), items: [{ id: `${at}-0`, kind: 'change', change }] };
  const count = await redis.incr(rollcall.key('presence:{delivery}:count'));
  await redis.xadd(rollcall.key('presence:{delivery}'), '*', 'n', count, 'b', JSON.stringify(batch));
  expect(await watcher.hears('told', isActive)).toMatchObject({ version: at });
});

test('a worker tells and records what webs of 0.1 have left in the outbox, each once', async () => {
  const { redis, db } = rollcall;
  const outbox = (userId: string) =>
    createKeys(rollcall.prefix, rollcall.env.REDIS_CLUSTER === 'true').outbox(shardOf(userId));
  const at = Date.now();
  const came = ['s', '1', 'l', at, 'v', at, 'a', at, 'c', 'connect', 'p', ''];
  const gone = ['s', '0', 'l', at + 1, 'v', at + 2, 'a', at + 2, 'c', 'timeout', 'o', at + 1];
  await redis.xadd(outbox('left'), '*', 'u', 'left', ...came);
  await redis.xadd(outbox('left'), '*', 'u', 'left', ...gone);
  await redis.xadd(outbox('named'), '*', 'u', 'named', 'n', 'seen', 'l', at, 'v', at, 'a', at, 'm', '{"name":"Nadja"}');
  await rollcall.addWorker();

  await watcher.hears('left', isInactive);
  expect(watcher.of('left')).toMatchObject([
    { status: 'active', version: at },
    { status: 'inactive', version: at + 2 },
  ]);
  const users = () => db('users').whereIn('id', ['left', 'named']).orderBy('id');
  expect(await eventually(users, (rows) => rows.length === 2)).toMatchObject([
    { id: 'left', last_seen: new Date(at + 1), version: `${at + 2}`, status: 'inactive' },
    { id: 'named', last_seen: new Date(at), display_name: 'Nadja' },
  ]);
  const history = await db('status_transitions').where({ user_id: 'left' }).orderBy('version');
  expect(history.map(({ status, cause }) => [status, cause])).toEqual([
    ['active', 'connect'],
    ['inactive', 'timeout'],
  ]);
  expect(await db('status_transitions').where({ user_id: 'named' })).toEqual([]);
});
