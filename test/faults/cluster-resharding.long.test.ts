import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, isInactive, rest, tokenFor } from '../support/client.ts';
import { ClusterWorld, TTL_MS } from '../support/cluster-world.ts';
import { eventually } from '../support/eventually.ts';

let world: ClusterWorld;
beforeAll(async () => {
  world = await ClusterWorld.open('resharding', {});
}, 90_000);
afterAll(() => world.close());

test('a shard is moved to another master while its people beat: nobody is told inactive, and what happens meanwhile is told', async () => {
  const { cluster, rollcall } = world;
  const shard = 2;
  const slot = await world.slotOfShard(shard);
  const from = await cluster.masterOf(slot);
  const to = cluster.nodes.find((node) => node !== from) ?? from;
  const [leaves = '', silent = '', ...staying] = world.names('moved', [shard], 10);
  const others = world.names('elsewhere', [0, 3, 6, 9]);
  const all = [...staying, ...others, leaves, silent];
  const watcher = await world.watcher([...all, 'late']);
  for (const [n, userId] of [...staying, ...others].entries()) await world.person(userId, n % 2);
  const leaving = await world.person(leaves);
  const falling = await world.person(silent);
  for (const userId of all) await watcher.hears(userId, isActive);

  const moved = await cluster.moveSlot(slot, to, async () => {
    // Half of the shard is there and half is here, for longer than a beat may be away, and a little less than the TTL.
    leaving.client.leave();
    falling.quiet();
    await delay(TTL_MS - 500);
    // Of the others nobody notices.
    for (const userId of others) expect(await rollcall.redis.get(rollcall.key(`user:status:${userId}`))).toBe('active');
  });
  const done = performance.now();
  expect(moved).toBeGreaterThan(2 * staying.length);
  expect((await world.shardsOf(to)).includes(shard)).toBe(true);
  const gone = await watcher.hears(leaves, isInactive, { withinMs: 5000 });
  expect(gone.heardAt - done).toBeLessThan(2000);
  const timedOut = await watcher.hears(silent, isInactive, { withinMs: TTL_MS + 5000 });
  expect(timedOut.heardAt - done).toBeLessThan(TTL_MS + 2000);
  // Two more TTLs at the new place.
  await delay(2 * TTL_MS);
  for (const userId of [...staying, ...others]) expect(watcher.of(userId).every(isActive), userId).toBe(true);
  const token = await tokenFor('a-service', { scope: 'presence:read' });
  const asked = await rest(rollcall.url, 'POST', '/users/status/query', { token, body: { userIds: staying } });
  expect(asked.body.users.every(isActive)).toBe(true);
  expect(rollcall.faults).toEqual([]);
});

test('queues and the delivery stream are moved while people come and go: every coming and every leaving is told', async () => {
  const { cluster, rollcall } = world;
  const people = world.names('busy', [1, 4, 7, 10, 13], 3);
  const watcher = await world.watcher(people);
  let going = true;
  const traffic = (async () => {
    for (let n = 0; going || n % people.length !== 0; n++) {
      const userId = people[n % people.length] ?? '';
      const { client, quiet } = await world.person(userId, n % 2);
      await delay(30);
      quiet();
      client.leave();
    }
  })();
  for (const slot of await world.commonSlots()) {
    const from = await cluster.masterOf(slot);
    await cluster.moveSlot(slot, cluster.nodes.find((node) => node !== from) ?? from, () => delay(500));
  }
  going = false;
  await traffic;
  for (const userId of people) {
    await eventually(
      () => watcher.of(userId).at(-1)?.status,
      (status) => status === 'inactive',
      10_000,
    );
    expect(watcher.statuses(userId), userId).toContain('active');
  }
  // Recorded as well, and a job fires where the queue is now.
  for (const userId of people) {
    await eventually(
      () => rollcall.db('users').where({ id: userId }).first(),
      (row) => row?.status === 'inactive',
      10_000,
    );
  }
  const [newcomer = ''] = world.names('newcomer', [5]);
  await watcher.watch(newcomer);
  const { client, quiet } = await world.person(newcomer);
  await watcher.hears(newcomer, isActive);
  quiet();
  const last = performance.now();
  const gone = await watcher.hears(newcomer, isInactive, { withinMs: TTL_MS + 5000 });
  expect(gone.heardAt - last).toBeLessThan(TTL_MS + 2000);
  client.leave();
});
