import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, isInactive, rest, tokenFor } from '../support/client.ts';
import { ClusterWorld, TTL_MS } from '../support/cluster-world.ts';
import { eventually } from '../support/eventually.ts';
import type { ClusterNode } from '../support/redis-cluster.ts';

let world: ClusterWorld;
beforeAll(async () => {
  world = await ClusterWorld.open('failover', { replicas: true });
}, 120_000);
afterAll(() => world.close());

/** Resolves once another server than the dead one serves all slots of it. */
async function takenOver(dead: ClusterNode, slot: number): Promise<void> {
  await eventually(
    async () => (await world.cluster.masterOf(slot)).id !== dead.id,
    (taken) => taken,
    20_000,
  );
}

/** As a service sees it: whom a user looks at is counted where that user is kept, which may be the master that was killed. */
const statusOf = async (userId: string) =>
  rest(world.rollcall.url, 'GET', `/users/${userId}/status`, {
    token: await tokenFor('host', { scope: 'presence:read' }),
  });

/** Kills the master; whoever is on it comes through, and whoever is not hears nothing of it. */
async function killMaster(dead: ClusterNode, label: string, { tellsMeanwhile }: { tellsMeanwhile: boolean }) {
  const { cluster, rollcall } = world;
  const lost = await world.shardsOf(dead);
  const kept = Array.from({ length: 16 }, (_, shard) => shard).filter((shard) => !lost.includes(shard));
  expect(Math.min(lost.length, kept.length)).toBeGreaterThan(0);
  const affected = world.names(`${label}-there`, lost, 2);
  const others = world.names(`${label}-else`, kept, 2);
  const [leaves = '', silent = '', ...staying] = affected;
  const [leavesElse = '', silentElse = '', ...stayingElse] = others;
  const watcher = await world.watcher([...affected, ...others]);
  const people = new Map(
    await Promise.all([...affected, ...others].map(async (id, n) => [id, await world.person(id, n % 2)] as const)),
  );
  for (const userId of people.keys()) await watcher.hears(userId, isActive);
  for (const userId of people.keys()) expect((await statusOf(userId)).body.status).toBe('active');

  const slot = await world.slotOfShard(lost[0] ?? 0);
  const heir = await cluster.replicaOf(dead);
  const mayTakeOver = (may: boolean) => heir.client.config('SET', 'cluster-replica-no-failover', may ? 'no' : 'yes');
  if (tellsMeanwhile) await mayTakeOver(false);
  await dead.server.kill('SIGKILL');
  const died = performance.now();
  for (const userId of [leaves, leavesElse]) people.get(userId)?.client.leave();
  for (const userId of [silent, silentElse]) people.get(userId)?.quiet();
  // Whom the living serve is served as ever; of the others nothing is guessed.
  expect((await statusOf(stayingElse[0] ?? '')).body).toMatchObject({ status: 'active' });
  expect(await people.get(stayingElse[0] ?? '')?.client.beatAnew()).toMatchObject({ ok: true });
  const unknown = await statusOf(staying[0] ?? '');
  expect([unknown.status, unknown.body.code ?? unknown.body.status]).toEqual([503, 'UNAVAILABLE']);
  expect((await rest(rollcall.url, 'GET', '/readyz')).body).toMatchObject({ ready: true, redis: true });
  if (tellsMeanwhile) {
    // While nobody serves the slots of the dead one, and nobody is going to.
    await watcher.hears(leavesElse, isInactive, { withinMs: 15_000 });
    await mayTakeOver(true);
  }

  await takenOver(dead, slot);
  const back = performance.now();
  for (const userId of tellsMeanwhile ? [leaves] : [leaves, leavesElse]) {
    const gone = await watcher.hears(userId, isInactive, { withinMs: 15_000 });
    expect(gone.heardAt - back, `${userId} left`).toBeLessThan(4000);
  }
  for (const userId of [silent, silentElse]) {
    const gone = await watcher.hears(userId, isInactive, { withinMs: 15_000 });
    expect(gone.heardAt - Math.max(back, died + TTL_MS), `${userId} fell silent`).toBeLessThan(4000);
  }
  await delay(2 * TTL_MS);
  for (const userId of [...staying, ...stayingElse]) {
    expect(
      watcher.statuses(userId).filter((status) => status === 'inactive'),
      userId,
    ).toEqual([]);
    expect((await statusOf(userId)).body).toMatchObject({ status: 'active' });
  }
  // And all goes on: somebody of the shards that were away comes and goes.
  const [newcomer = ''] = world.names(`${label}-new`, lost);
  await watcher.watch(newcomer);
  const { client } = await world.person(newcomer);
  await watcher.hears(newcomer, isActive);
  client.leave();
  await watcher.hears(newcomer, isInactive, { withinMs: 3000 });
  for (const userId of people.keys()) {
    const versions = watcher.of(userId).map((change) => change.version);
    expect(versions, userId).toEqual([...versions].sort((a, b) => a - b));
  }
  for (const { client: each } of people.values()) each.leave();
  expect(rollcall.faults).toEqual([]);
  await dead.server.start();
  await cluster.settled();
}

test('a master that holds no queue is killed: its people come through, and those of other shards do not notice', async () => {
  const { cluster } = world;
  const common = await Promise.all((await world.commonSlots()).map((slot) => cluster.masterOf(slot)));
  const plain = (await cluster.masters()).find((master) => !common.includes(master));
  if (!plain) throw new Error('Every master holds a queue');
  await killMaster(plain, 'plain', { tellsMeanwhile: true });
});

test('the master of the delivery stream and most queues is killed: after the failover everything is true again', async () => {
  const [delivery = 0] = await world.commonSlots();
  await killMaster(await world.cluster.masterOf(delivery), 'delivery', { tellsMeanwhile: false });
});
