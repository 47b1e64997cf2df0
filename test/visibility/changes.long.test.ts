import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { ownRedis, privatePostgres } from '../support/stores.ts';
import { watched } from './doors.ts';

/** Stores of its own: some of these tests break them. */
let redis: Awaited<ReturnType<typeof ownRedis>>;
let postgres: Awaited<ReturnType<typeof privatePostgres>>;
let rollcall: Deployment;
let host: string;
let names = 0;

beforeAll(async () => {
  [redis, postgres] = await Promise.all([ownRedis(), privatePostgres()]);
  rollcall = await Deployment.start('privacy', { webs: 2, redisUrl: redis.url, databaseUrl: postgres.databaseUrl });
  host = await tokenFor('host', { scope: 'presence:read presence:write' });
}, 120_000);
afterAll(async () => {
  await rollcall?.stop();
  await Promise.all([redis?.stop(), postgres?.postgres.stop()]);
});

const person = (name: string) => `${name}:${++names}`;
const BLIND = { status: 'inactive', lastSeen: null };

async function call(method: string, path: string, body?: unknown): Promise<number> {
  const options = body === undefined ? { token: host } : { token: host, body };
  return (await rest(rollcall.url, method, path, options)).status;
}
const block = (userId: string, other: string) => call('PUT', `/users/${userId}/blocks/${other}`);
const unblock = (userId: string, other: string) => call('DELETE', `/users/${userId}/blocks/${other}`);
const befriend = (userId: string, other: string) => call('PUT', `/users/${userId}/friends/${other}`);
const unfriend = (userId: string, other: string) => call('DELETE', `/users/${userId}/friends/${other}`);
const allow = (userId: string, settings: object) => call('PUT', `/users/${userId}/settings`, settings);

/** A user who is here, seen by a watcher on the other web and by one of everybody. */
async function watchedOne() {
  const userId = person('ada');
  const viewerId = person('bob');
  const ada = await TestClient.connect(rollcall.web(0).url, userId, { watch: [userId] });
  const watcher = await TestClient.connect(rollcall.web(1).url, viewerId, { watch: [userId] });
  const everyone = await TestClient.connect(rollcall.web(0).url, viewerId);
  expect(watcher.ready?.users).toMatchObject([{ status: 'active' }]);
  return { userId, viewerId, ada, watcher, everyone, both: [watcher, everyone] };
}

/** Resolves when a client has been told everything that was told before now. */
async function isUpToDate(client: TestClient, self: TestClient, userId: string): Promise<void> {
  const text = `now ${++names}`;
  await self.socket.emitWithAck('set_detail', { text });
  await self.hears(userId, (told) => told.detail?.text === text);
  // The other web may be a little behind; a user of the same shard tells how far it is.
  const marker = await TestClient.connect(rollcall.url, person('marker'));
  await eventually(
    () => client.socket.connected,
    (connected) => connected,
    1000,
  );
  const markerId = marker.ready?.userId ?? '';
  await watched(client, [markerId]);
  for (const said of ['a', 'b', 'c']) {
    await marker.socket.emitWithAck('set_detail', { text: said });
    await client.hears(markerId, (told) => told.detail?.text === said);
  }
  marker.leave();
}

const statuses = (client: TestClient, userId: string) =>
  client.of(userId).map(({ status, lastSeen }) => ({ status, lastSeen }));

/** Versions only grow on a connection. */
function grows(client: TestClient, userId: string): void {
  const versions = client.of(userId).map((change) => change.version);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
}

test('a block is told to live watchers at once and once, as if the user had left; later events do not reach them, and its end brings the truth', async () => {
  const { userId, viewerId, ada, both, watcher, everyone } = await watchedOne();
  const before = new Map(both.map((client) => [client, client.of(userId).length]));
  // Tells how far the other web is: who may see somebody is looked up when they are told of.
  const service = await TestClient.connect(rollcall.web(1).url, 'host', { token: host, watch: [userId] });
  expect(await block(userId, viewerId)).toBe(204);
  for (const client of both) await client.hears(userId, (told) => isInactive(told) && told.lastSeen === null);
  const known = service.of(userId).length;
  await ada.socket.emitWithAck('set_status', { status: 'inactive' });
  await ada.socket.emitWithAck('set_status', { status: 'active' });
  await ada.hears(userId, isActive, { after: ada.of(userId).length - 1 });
  const hidden = await service.hears(userId, isInactive, { after: known });
  await service.hears(userId, isActive, { after: service.of(userId).indexOf(hidden) });
  expect(await watched(watcher, [userId])).toEqual([{ userId, ...BLIND, version: 0 }]);
  expect(await unblock(userId, viewerId)).toBe(204);
  for (const client of both) {
    await client.hears(userId, (told) => isActive(told) && told.lastSeen !== null, {
      after: (before.get(client) ?? 0) + 1,
    });
    expect(statuses(client, userId).slice(before.get(client))).toEqual([
      BLIND,
      { status: 'active', lastSeen: expect.any(String) },
    ]);
    grows(client, userId);
  }
  for (const client of [ada, watcher, everyone, service]) client.leave();
});

test('a block works both ways: neither sees the other', async () => {
  const { userId, viewerId, ada, watcher } = await watchedOne();
  await watched(ada, [viewerId]);
  expect(await block(userId, viewerId)).toBe(204);
  await ada.hears(viewerId, (told) => told.lastSeen === null && isInactive(told));
  await watcher.hears(userId, (told) => told.lastSeen === null && isInactive(told));
  ada.leave();
  watcher.leave();
});

test('unfriending, a stricter setting and a setting for the last seen alone reach live watchers at once', async () => {
  const { userId, viewerId, ada, both } = await watchedOne();
  const [watcher] = both as [TestClient];
  const next = async (does: () => Promise<number>, expected: object) => {
    const known = new Map(both.map((client) => [client, client.of(userId).length]));
    expect(await does()).toBeLessThan(300);
    for (const client of both) {
      const told = await client.hears(userId, () => true, { after: known.get(client) ?? 0 });
      expect(told).toMatchObject(expected);
      grows(client, userId);
    }
  };
  const truth = { status: 'active', lastSeen: expect.any(String) };
  await next(() => allow(userId, { visibility: 'friends' }), BLIND);
  await next(() => befriend(userId, viewerId), truth);
  await next(() => unfriend(viewerId, userId), BLIND);
  await next(() => allow(userId, { visibility: 'everyone', lastSeenVisibility: 'friends' }), {
    status: 'active',
    lastSeen: null,
  });
  await next(() => befriend(userId, viewerId), truth);
  await next(() => allow(userId, { lastSeenVisibility: 'nobody' }), { status: 'active', lastSeen: null });
  await next(() => allow(userId, { visibility: 'nobody' }), BLIND);
  await next(() => allow(userId, { visibility: 'everyone', lastSeenVisibility: 'everyone' }), truth);
  await next(() => allow(userId, { lastSeenPrecision: 'coarse' }), { status: 'active', lastSeen: null });
  await next(
    async () => {
      await ada.socket.emitWithAck('set_detail', { text: 'coarsely' });
      return 200;
    },
    { status: 'active', lastSeen: null, detail: { text: 'coarsely' } },
  );
  await next(() => allow(userId, { lastSeenPrecision: 'exact' }), truth);
  // What does not concern a viewer is not told to it.
  const count = watcher.of(userId).length;
  await befriend(userId, person('cyd'));
  await block(userId, person('dan'));
  await isUpToDate(watcher, ada, userId);
  expect(
    watcher
      .of(userId)
      .slice(count)
      .filter((told) => told.detail === undefined),
  ).toEqual([]);
  for (const client of [ada, ...both]) client.leave();
});

test('a detail is taken away with the sight of the user, and comes back with it', async () => {
  const { userId, viewerId, ada, watcher } = await watchedOne();
  await ada.socket.emitWithAck('set_detail', { text: 'lunch' });
  await watcher.hears(userId, (told) => told.detail?.text === 'lunch');
  await block(viewerId, userId);
  expect(await watcher.hears(userId, isInactive)).toMatchObject({ ...BLIND, detail: {} });
  await unblock(viewerId, userId);
  const seen = watcher.of(userId).length - 1;
  expect(await watcher.hears(userId, isActive, { after: seen })).toMatchObject({ detail: { text: 'lunch' } });
  ada.leave();
  watcher.leave();
});

test('of somebody who is away too: who loses sight learns no last seen any more, and who regains it does', async () => {
  const { userId, viewerId, ada, both } = await watchedOne();
  ada.leave();
  for (const client of both) await client.hears(userId, isInactive);
  await allow(userId, { visibility: 'nobody' });
  for (const client of both) await client.hears(userId, (told) => told.lastSeen === null && isInactive(told));
  const answer = await rest(rollcall.url, 'GET', `/users/${userId}/status`, { token: await tokenFor(viewerId) });
  expect(answer.body).toEqual({ userId, ...BLIND });
  const counts = both.map((client) => client.of(userId).length);
  await allow(userId, { visibility: 'everyone' });
  for (const [n, client] of both.entries()) {
    expect(await client.hears(userId, isInactive, { after: counts[n] ?? 0 })).toMatchObject({
      lastSeen: expect.any(String),
    });
    client.leave();
  }
});

test('whatever the order in which a watch, a block, a setting and a change arrive, the end is what the viewer may see', async () => {
  const userId = person('eve');
  const eve = await TestClient.connect(rollcall.web(0).url, userId, { watch: [userId] });
  const viewerId = person('fay');
  for (let round = 0; round < 12; round++) {
    const hides = round % 2 === 0;
    const viewer = await TestClient.connect(rollcall.web(round % 2).url, viewerId, { watch: [] });
    let shown: { status: string; lastSeen: string | null } | undefined;
    const look = async () => {
      const [user] = await watched(viewer, [userId]);
      shown = user;
    };
    const privacy = async () => {
      if (round % 4 < 2) await (hides ? block(viewerId, userId) : unblock(viewerId, userId));
      else await allow(userId, { visibility: hides ? 'nobody' : 'everyone' });
    };
    const change = async () => {
      await eve.socket.emitWithAck('set_detail', { text: `round ${round}` });
    };
    await Promise.all(
      [
        [look, privacy, change],
        [privacy, look, change],
        [change, privacy, look],
      ][round % 3]?.map((does) => does()) ?? [],
    );
    await isUpToDate(viewer, eve, userId);
    const final = viewer.of(userId).at(-1) ?? shown;
    const blind = { status: final?.status, lastSeen: final?.lastSeen };
    if (hides) expect(blind, `round ${round}`).toEqual(BLIND);
    else expect(final, `round ${round}`).toMatchObject({ status: 'active', lastSeen: expect.any(String) });
    viewer.leave();
    if (round % 4 === 3) await Promise.all([unblock(viewerId, userId), allow(userId, { visibility: 'everyone' })]);
  }
  eve.leave();
});

test('typing stops for whoever is blocked while it goes on, and is not heard of again', async () => {
  const [typist, member, other] = [person('gil'), person('hal'), person('ivy')] as [string, string, string];
  const room = person('room');
  for (const userId of [typist, member, other]) await call('PUT', `/conversations/${room}/members/${userId}`);
  const clients = await Promise.all(
    [typist, member, other].map((userId, n) => TestClient.connect(rollcall.web(n % 2).url, userId)),
  );
  const [gil, hal, ivy] = clients as [TestClient, TestClient, TestClient];
  const told = new Map<TestClient, boolean[]>(clients.map((client) => [client, []]));
  for (const client of clients) {
    client.socket.on('indicator_change', ({ active }) => told.get(client)?.push(active));
    await client.socket.emitWithAck('join_conversation', { conversationId: room });
  }
  const type = (event: 'start_indicator' | 'stop_indicator') =>
    gil.socket.emitWithAck(event, { conversationId: room, kind: 'typing' });
  const hears = (client: TestClient, ...expected: boolean[]) =>
    eventually(
      () => told.get(client) ?? [],
      (heard) => heard.length === expected.length,
      5000,
    ).then((heard) => {
      expect(heard).toEqual(expected);
    });
  await type('start_indicator');
  await Promise.all([hears(hal, true), hears(ivy, true)]);
  await block(typist, member);
  await hears(hal, true, false);
  await type('stop_indicator');
  await hears(ivy, true, false);
  await type('start_indicator');
  await hears(ivy, true, false, true);
  await unblock(typist, member);
  await hears(hal, true, false, true);
  for (const client of clients) client.leave();
});

test('after Redis lost everything nobody sees more than before', async () => {
  const { userId, ada, watcher, everyone } = await watchedOne();
  await allow(userId, { visibility: 'nobody' });
  await watcher.hears(userId, isInactive);
  const counts = [watcher, everyone].map((client) => client.of(userId).length);
  await rollcall.redis.flushall();
  await eventually(
    () => rollcall.redis.get(rollcall.key(`user:status:${userId}`)),
    (status) => status === 'active',
    20_000,
  );
  await ada.socket.emitWithAck('set_status', { status: 'inactive' });
  await ada.hears(userId, isInactive, { after: ada.of(userId).length - 1 });
  await ada.socket.emitWithAck('set_status', { status: 'active' });
  await ada.hears(userId, isActive, { after: ada.of(userId).length - 1 });
  for (const [n, client] of [watcher, everyone].entries()) {
    for (const told of client.of(userId).slice(counts[n])) expect(told).toMatchObject(BLIND);
  }
  expect(await watched(watcher, [userId])).toEqual([{ userId, ...BLIND, version: 0 }]);
  for (const client of [ada, watcher, everyone]) client.leave();
});

test('without PostgreSQL delivery goes on, and who may not see still does not', async () => {
  const { userId, viewerId, ada, watcher } = await watchedOne();
  const friendId = person('jon');
  await befriend(userId, friendId);
  await allow(userId, { visibility: 'friends' });
  await watcher.hears(userId, isInactive);
  const friend = await TestClient.connect(rollcall.web(1).url, friendId, { watch: [userId] });
  expect(friend.ready?.users).toMatchObject([{ status: 'active' }]);
  const count = watcher.of(userId).length;
  await postgres.postgres.shutdown();
  try {
    ada.leave();
    await friend.hears(userId, isInactive);
    const answers = await Promise.all(
      [viewerId, friendId].map(async (viewer) =>
        rest(rollcall.url, 'GET', `/users/${userId}/status`, { token: await tokenFor(viewer) }),
      ),
    );
    expect(answers.map(({ body }) => body)).toEqual([
      { userId, ...BLIND },
      { userId, status: 'inactive', lastSeen: expect.any(String) },
    ]);
    expect(await block(userId, friendId)).toBe(503);
    expect(watcher.of(userId).length).toBe(count);
  } finally {
    await postgres.postgres.start();
  }
  friend.leave();
  watcher.leave();
});
