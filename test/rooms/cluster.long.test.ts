import { afterAll, beforeAll, expect, test } from 'vitest';
import { ClusterWorld, TTL_MS } from '../support/cluster-world.ts';
import { eventually } from '../support/deployment.ts';
import { ask, enter, type Roomer } from './world.ts';

let world: ClusterWorld;
const timers: NodeJS.Timeout[] = [];

beforeAll(async () => {
  world = await ClusterWorld.open('rooms in a cluster', {});
}, 120_000);
afterAll(async () => {
  for (const timer of timers) clearInterval(timer);
  await world?.close();
});

async function person(web: number, userId: string): Promise<Roomer> {
  const roomer = await enter(world.rollcall, web, userId);
  timers.push(setInterval(() => void roomer.client.beat().catch(() => {}), 700));
  return roomer;
}

test('a room and those in it are on different nodes: who comes, goes and is put out is seen by all; a node that lost everything has nobody told as left', async () => {
  const { cluster, rollcall } = world;
  const shards = await Promise.all(cluster.nodes.map((node) => world.shardsOf(node)));
  const [ada = '', bob = ''] = [0, 1].flatMap((n) => world.names(`user-${n}`, (shards[n] ?? []).slice(0, 1)));
  const [roomId = ''] = world.names('doc', (shards[2] ?? []).slice(0, 1));
  const people = [await person(0, ada), await person(1, bob)];
  const watcher = await person(1, 'watcher');
  for (const each of people) await each.join(roomId, { of: each === people[0] ? 'ada' : 'bob' });
  const { users } = await watcher.watch(roomId);
  expect(users?.map(({ userId }) => userId)).toEqual([ada, bob].sort());
  for (const each of people) await each.sees(roomId, [ada, bob]);
  const list = async () => (await ask(rollcall, 'GET', `/rooms/${roomId}`)).body;
  const isWhole = () =>
    eventually(list, (body) => JSON.stringify(body.users) === JSON.stringify(users), TTL_MS + 20_000);
  await eventually(
    () => rollcall.db('users').whereIn('id', [ada, bob]).where({ status: 'active' }),
    (rows) => rows.length === 2,
    10_000,
  );

  // The node of the room, and then that of one who is in it.
  for (const node of [cluster.node(2), cluster.node(0)]) {
    await node.client.flushall();
    await eventually(
      async () => (await ask(rollcall, 'GET', `/rooms/${roomId}`)).status,
      (status) => status === 503,
      5000,
    );
    await isWhole();
  }
  for (const each of [...people, watcher]) expect(each.left(roomId)).toEqual([]);
  // Right to two seconds.
  await eventually(
    async () => (await ask(rollcall, 'GET', '/rooms?limit=1')).body.rooms?.[0],
    (fullest) => fullest?.roomId === roomId && fullest.count === 2,
  );

  expect((await ask(rollcall, 'DELETE', `/rooms/${roomId}/users/${ada}`)).status).toBe(204);
  await watcher.sees(roomId, [bob]);
  // By the other web.
  await eventually(
    () => people[0]?.closed ?? [],
    (closed) => closed.length > 0,
  );
  expect(people[0]?.closed).toEqual([{ roomId, reason: 'kicked' }]);
  people[1]?.client.leave();
  await watcher.sees(roomId, []);
  for (const each of [people[0], watcher]) each?.client.leave();
});
