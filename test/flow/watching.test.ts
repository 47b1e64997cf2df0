import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, isInactive, TestClient } from '../support/client.ts';
import { CALM, Deployment, type WebProgram } from '../support/deployment.ts';

let rollcall: Deployment;
/** A web that tells everyone, and one that tells watchers only. */
let everyone: WebProgram;
let watchers: WebProgram;

beforeAll(async () => {
  rollcall = await Deployment.start('watching', { env: CALM });
  everyone = rollcall.web(0);
  watchers = await rollcall.addWeb({ AUDIENCE: 'watchers' });
});
afterAll(() => rollcall?.stop());

/** All that this web has sent so far has arrived once it has answered. */
async function caughtUp(client: TestClient): Promise<TestClient> {
  await client.beat();
  return client;
}

test('with an audience of everyone each hears of all others but not of itself, and begins with who is active', async () => {
  const first = await TestClient.connect(everyone.url, 'e-first');
  const second = await TestClient.connect(everyone.url, 'e-second');
  const came = await first.hears('e-second', isActive);
  expect(came).toMatchObject({ userId: 'e-second', status: 'active', lastSeen: expect.any(String) });
  expect(second.ready?.users).toContainEqual({
    userId: 'e-first',
    status: 'active',
    lastSeen: expect.any(String),
    version: expect.any(Number),
  });
  expect(second.ready?.users?.every(isActive)).toBe(true);
  await second.socket.emitWithAck('set_status', { status: 'inactive' });
  await first.hears('e-second', isInactive);
  expect((await caughtUp(second)).of('e-second')).toEqual([]);
  const third = await TestClient.connect(everyone.url, 'e-third');
  expect(third.ready?.users?.map((user) => user.userId)).not.toContain('e-second');
  expect(await third.socket.emitWithAck('set_status', { status: 'active' })).toMatchObject({ ok: true });
  for (const client of [first, second, third]) client.leave();
});

test('with an audience of watchers only who watches hears, and nobody begins with users not asked for', async () => {
  const idle = await TestClient.connect(watchers.url, 'w-idle');
  const watcher = await TestClient.connect(watchers.url, 'w-watcher', { watch: ['w-ada', 'w-never'] });
  expect(idle.ready).not.toHaveProperty('users');
  expect(watcher.ready?.users?.map((user) => [user.userId, user.status, user.lastSeen, user.version])).toEqual([
    ['w-ada', 'inactive', null, 0],
    ['w-never', 'inactive', null, 0],
  ]);
  const ada = await TestClient.connect(everyone.url, 'w-ada');
  const bob = await TestClient.connect(everyone.url, 'w-bob');
  await watcher.hears('w-ada', isActive);
  const late = await watcher.watch('w-bob', 'w-bob');
  expect(late).toMatchObject({ ok: true, users: [{ userId: 'w-bob', status: 'active' }] });
  bob.leave();
  const gone = await watcher.hears('w-bob', isInactive);
  expect(gone.version).toBeGreaterThan(late.ok ? (late.users[0]?.version ?? 0) : 0);
  expect(watcher.statuses('w-bob')).toEqual(['inactive']);
  expect((await caughtUp(idle)).heard).toEqual([]);
  for (const client of [idle, watcher, ada]) client.leave();
});

test('whoever said whom it watches hears of these only, of nobody with an empty list, and of nobody after the last', async () => {
  const all = await TestClient.connect(everyone.url, 'o-all');
  const nobody = await TestClient.connect(everyone.url, 'o-nobody', { watch: [] });
  const some = await TestClient.connect(everyone.url, 'o-some', { watch: ['o-ada'] });
  const later = await TestClient.connect(everyone.url, 'o-later');
  expect(nobody.ready?.users).toEqual([]);
  expect(await later.watch('o-ada')).toMatchObject({ ok: true });
  const bob = await TestClient.connect(watchers.url, 'o-bob');
  const ada = await TestClient.connect(watchers.url, 'o-ada');
  await Promise.all([all, some, later].map((client) => client.hears('o-ada', isActive)));
  await all.hears('o-bob', isActive);
  for (const client of [nobody, some, later]) expect((await caughtUp(client)).of('o-bob')).toEqual([]);
  expect(await some.socket.emitWithAck('unwatch', { userIds: ['o-ada', 'o-stranger'] })).toEqual({ ok: true });
  ada.leave();
  await Promise.all([all, later].map((client) => client.hears('o-ada', isInactive)));
  expect((await caughtUp(some)).statuses('o-ada')).toEqual(['active']);
  expect((await caughtUp(nobody)).heard).toEqual([]);
  // An unwatch alone is a choice too.
  const chooser = await TestClient.connect(everyone.url, 'o-chooser');
  await chooser.socket.emitWithAck('unwatch', { userIds: ['o-bob'] });
  const told = chooser.heard.length;
  bob.leave();
  await all.hears('o-bob', isInactive);
  expect((await caughtUp(chooser)).heard).toHaveLength(told);
  for (const client of [all, nobody, some, later, chooser]) client.leave();
});

test('whoever watches itself hears of itself, on every device that does', async () => {
  const phone = await TestClient.connect(everyone.url, 's-ada', { watch: ['s-ada'] });
  const laptop = await TestClient.connect(watchers.url, 's-ada', { watch: ['s-ada'] });
  const tv = await TestClient.connect(everyone.url, 's-ada');
  expect(phone.ready?.users).toMatchObject([{ userId: 's-ada', status: 'active' }]);
  await tv.socket.emitWithAck('set_status', { status: 'inactive' });
  await Promise.all([phone, laptop].map((client) => client.hears('s-ada', isInactive)));
  expect((await caughtUp(tv)).of('s-ada')).toEqual([]);
  for (const client of [phone, laptop, tv]) client.leave();
});

test('clients that asked for batches get nothing else, and miss nobody', async () => {
  const crowd = Array.from({ length: 12 }, (_, n) => `b-${n}`);
  const watcher = await TestClient.connect(everyone.url, 'b-watcher', { watch: crowd, batch: true });
  const listener = await TestClient.connect(everyone.url, 'b-listener', { batch: true });
  const plain = await TestClient.connect(everyone.url, 'b-plain', { watch: crowd, batch: false });
  const clients = await Promise.all(crowd.map((userId) => TestClient.connect(watchers.url, userId)));
  for (const userId of crowd) {
    for (const client of [watcher, listener, plain]) await client.hears(userId, isActive);
  }
  for (const client of clients) client.leave();
  for (const userId of crowd) {
    for (const client of [watcher, listener, plain]) await client.hears(userId, isInactive);
  }
  expect(watcher.frames.every((frame) => frame.event === 'batch' && frame.changes > 0)).toBe(true);
  expect(listener.frames.every((frame) => frame.event === 'batch')).toBe(true);
  expect(plain.frames.every((frame) => frame.event === 'single')).toBe(true);
  expect(watcher.frames.length).toBeLessThan(2 * crowd.length);
  for (const client of [watcher, listener, plain]) client.leave();
});

test('a snapshot of a thousand is one answer, whoever they are', async () => {
  const watcher = await TestClient.connect(watchers.url, 't-watcher', { watch: [] });
  const userIds = Array.from({ length: 1000 }, (_, n) => `t-${n}`);
  const answer = await watcher.watch(...userIds);
  expect(answer).toMatchObject({ ok: true });
  const users = answer.ok ? answer.users : [];
  expect(new Set(users.map((user) => user.userId))).toEqual(new Set(userIds));
  expect(users.every((user) => user.status === 'inactive' && user.version === 0 && user.lastSeen === null)).toBe(true);
  watcher.leave();
});
