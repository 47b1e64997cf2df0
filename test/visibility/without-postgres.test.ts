import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { EventReader } from '../support/event-reader.ts';
import { privatePostgres } from '../support/stores.ts';

/** A PostgreSQL of its own: it is stopped. */
let postgres: Awaited<ReturnType<typeof privatePostgres>>;
let rollcall: Deployment;

beforeAll(async () => {
  postgres = await privatePostgres();
  rollcall = await Deployment.start('privacy unknown', { env: CALM, databaseUrl: postgres.databaseUrl });
}, 120_000);
afterAll(async () => {
  await rollcall?.stop();
  await postgres?.postgres.stop();
});

const allow = async (userId: string, visibility: string) => {
  const token = await tokenFor(userId);
  return (await rest(rollcall.url, 'PUT', `/users/${userId}/settings`, { token, body: { visibility } })).status;
};

test('while neither store can say who may see a user, every door says that it cannot and nobody is told anything; then all of it is right', async () => {
  const [ann, bob, stranger, dan] = ['ann', 'bob', 'stranger', 'dan'];
  const host = await tokenFor('host', { scope: 'presence:write' });
  await rest(rollcall.url, 'PUT', `/users/${ann}/friends/${bob}`, { token: host });
  expect(await allow(ann, 'friends')).toBe(200);
  const self = await TestClient.connect(rollcall.url, ann);
  const open = await TestClient.connect(rollcall.url, dan);
  const watchers = await Promise.all(
    [bob, stranger].map((id) => TestClient.connect(rollcall.url, id, { watch: [ann, dan] })),
  );
  const [friend, other] = watchers as [TestClient, TestClient];
  expect(watchers.map(({ ready }) => ready?.users?.find(({ userId }) => userId === ann)?.status)).toEqual([
    'active',
    'inactive',
  ]);

  await postgres.postgres.shutdown();
  await rollcall.redis.del(rollcall.key(`user:privacy:${ann}`));
  const readers: EventReader[] = [];
  for (const viewer of [bob, stranger]) {
    const token = await tokenFor(viewer);
    const query = { token, body: { userIds: [ann] } };
    expect((await rest(rollcall.url, 'GET', `/users/${ann}/status`, { token })).status, viewer).toBe(503);
    expect((await rest(rollcall.url, 'POST', '/users/status/query', query)).status, viewer).toBe(503);
    const newcomer = await TestClient.connect(rollcall.url, viewer);
    expect(
      newcomer.ready?.users?.map(({ userId }) => userId),
      viewer,
    ).not.toContain(ann);
    expect(await newcomer.watch(ann), viewer).toMatchObject({ ok: true, users: [], pending: [ann] });
    newcomer.leave();
    const reader = await EventReader.open(rollcall.url, token, [ann]);
    // From there a reader could only begin anew.
    expect(await reader.hears('snapshot'), viewer).toMatchObject({ id: '', data: { users: [], pending: [ann] } });
    readers.push(reader);
    for (const path of [`/users/${viewer}/export`, '/audit']) {
      const answer = await rest(rollcall.url, 'GET', path, { token: host });
      expect([path, answer.status, answer.body.code]).toEqual([path, 503, 'UNAVAILABLE']);
      expect(Number(answer.headers.get('retry-after')), path).toBeGreaterThan(0);
    }
  }
  // What can be known is told; of her nobody hears anything, neither that she left nor that it cannot be known.
  self.leave();
  open.leave();
  for (const watcher of watchers) {
    await watcher.hears(dan, isInactive);
    expect(watcher.of(ann)).toEqual([]);
  }

  await postgres.postgres.start();
  const told = await friend.hears(ann, isInactive, { withinMs: 30_000 });
  expect(told.lastSeen).toEqual(expect.any(String));
  await readers[0]?.hears('user_status_change', ({ lastSeen }) => lastSeen === told.lastSeen, 30_000);
  const back = await TestClient.connect(rollcall.url, ann);
  await friend.hears(ann, isActive, { withinMs: 30_000 });
  await eventually(
    () => rollcall.redis.hget(rollcall.key(`user:privacy:${ann}`), 'v'),
    (letter) => letter === 'f',
    15_000,
  );
  for (const { status, lastSeen } of other.of(ann))
    expect({ status, lastSeen }).toEqual({ status: 'inactive', lastSeen: null });
  for (const { data } of readers[1]?.events.slice(1) ?? [])
    expect(data).toMatchObject({ userId: ann, status: 'inactive', lastSeen: null });
  for (const client of [back, ...watchers, ...readers]) client.leave();
});
