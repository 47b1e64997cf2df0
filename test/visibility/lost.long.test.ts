import { Queue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeys, shardOf } from '../../src/redis/keys.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

/**
 * What decides over who may see somebody is cached in Redis, and Redis may lose it, in part, or come back with older. Nobody
 * sees more by that.
 */
let rollcall: Deployment;
let maintenance: Queue;
let count = 0;

beforeAll(async () => {
  rollcall = await Deployment.start('lost privacy', { webs: 2, env: CALM });
  maintenance = new Queue('maintenance', { connection: rollcall.redis, prefix: rollcall.queuePrefix('maintenance') });
});
afterAll(async () => {
  await maintenance?.close();
  await rollcall?.stop();
});

const BLIND = { status: 'inactive', lastSeen: null };
const person = (name: string) => `${name}-${++count}`;

async function as(userId: string, method: string, path: string, body?: object) {
  const answer = await rest(rollcall.url, method, path, { token: await tokenFor(userId), ...(body ? { body } : {}) });
  expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  return answer.body;
}
const allow = (userId: string, visibility: string) => as(userId, 'PUT', `/users/${userId}/settings`, { visibility });
const privacyKey = (userId: string) => rollcall.key(`user:privacy:${userId}`);
const recordKey = (userId: string) => rollcall.key(`user:sessions:${userId}`);
const revisionOf = async (userId: string) =>
  (await rollcall.db('users').where({ id: userId }).first('privacy_revision'))?.privacy_revision as string;

/** Somebody who is here, and a stranger, told of everybody and of this one by name. */
async function pair() {
  const [userId, eve] = [person('ann'), person('eve')];
  const ann = await TestClient.connect(rollcall.web(0).url, userId);
  const watching = await TestClient.connect(rollcall.web(1).url, eve, { watch: [userId] });
  const everyone = await TestClient.connect(rollcall.web(1).url, eve);
  return { userId, eve, ann, watching, everyone };
}

/** What the stranger is shown at each door. */
async function shownTo(eve: string, userId: string, watching: TestClient) {
  const query = (await as(eve, 'POST', '/users/status/query', { userIds: [userId] })) as { users: object[] };
  const newcomer = await TestClient.connect(rollcall.web(0).url, eve, { watch: [userId] });
  const open = await TestClient.connect(rollcall.web(0).url, eve);
  const watched = await watching.watch(userId);
  for (const client of [newcomer, open]) client.leave();
  return {
    status: await as(eve, 'GET', `/users/${userId}/status?include=devices,detail`),
    query: query.users[0],
    watch: watched.ok ? watched.users[0] : watched,
    handshake: newcomer.ready?.users?.[0],
    active: open.ready?.users?.some((user) => user.userId === userId),
  };
}

const blindAt = (userId: string) => ({
  status: { userId, ...BLIND, devices: [], detail: {} },
  query: { userId, ...BLIND },
  watch: { userId, ...BLIND, version: 0 },
  handshake: { userId, ...BLIND, version: 0 },
  active: false,
});

const losses: Record<string, (userId: string) => Promise<unknown>> = {
  'was lost': (userId) => rollcall.redis.del(privacyKey(userId)),
  'is of an older revision': (userId) => rollcall.redis.hset(privacyKey(userId), { r: '7', v: 'e', l: 'e' }),
  'is of the form of an older release': async (userId) => {
    await rollcall.redis.del(privacyKey(userId));
    await rollcall.redis.set(privacyKey(userId), '1|e|e');
  },
  'is there, but the record does not say which revision it goes by': (userId) =>
    rollcall.redis.hdel(recordKey(userId), 'r'),
};

describe.each(Object.keys(losses))('where what decides %s', (loss) => {
  test('who may be seen by nobody is shown at no door, is told of to nobody, and it is mended', async () => {
    const { userId, eve, ann, watching, everyone } = await pair();
    await allow(userId, 'nobody');
    for (const client of [watching, everyone]) await client.hears(userId, isInactive);
    const heard = [watching, everyone].map((client) => client.of(userId).length);
    await losses[loss]?.(userId);
    await ann.socket.emitWithAck('set_detail', { text: 'nobody reads this' });
    await losses[loss]?.(userId);
    expect(await shownTo(eve, userId, watching)).toEqual(blindAt(userId));
    await eventually(
      async () => [
        await rollcall.redis.hget(privacyKey(userId), 'r').catch(() => null),
        await rollcall.redis.hget(recordKey(userId), 'r'),
      ],
      (revisions) => revisions[0] !== null && revisions[0] === revisions[1],
    ).then(async ([revision]) => expect(revision).toBe(await revisionOf(userId)));
    expect(await shownTo(eve, userId, watching)).toEqual(blindAt(userId));
    expect(await as(userId, 'GET', `/users/${userId}/status`)).toMatchObject({ status: 'active' });
    expect([watching, everyone].map((client) => client.of(userId).length)).toEqual(heard);
    for (const client of [ann, watching, everyone]) client.leave();
  });

  test('who is blocked sees nothing, a friend of somebody who asks for friends everything, a stranger nothing', async () => {
    const [userId, blocked, friend, stranger] = [person('bea'), person('mal'), person('fay'), person('eve')];
    const host = await tokenFor('host', { scope: 'presence:write' });
    const befriend = `/users/${userId}/friends/${friend}`;
    expect((await rest(rollcall.url, 'PUT', befriend, { token: host })).status).toBe(204);
    await allow(userId, 'friends');
    await as(userId, 'PUT', `/users/${userId}/blocks/${blocked}`);
    const bea = await TestClient.connect(rollcall.url, userId);
    const watchers = new Map<string, TestClient>();
    for (const viewer of [blocked, friend, stranger]) {
      watchers.set(viewer, await TestClient.connect(rollcall.web(1).url, viewer, { watch: [userId] }));
    }
    await losses[loss]?.(userId);
    for (const viewer of [blocked, stranger]) {
      expect(await as(viewer, 'GET', `/users/${userId}/status`)).toEqual({ userId, ...BLIND });
      await losses[loss]?.(userId);
    }
    expect(await as(friend, 'GET', `/users/${userId}/status`)).toMatchObject({ status: 'active' });
    await losses[loss]?.(userId);
    await bea.socket.emitWithAck('set_detail', { text: 'for friends' });
    await watchers.get(friend)?.hears(userId, (told) => told.detail?.text === 'for friends');
    for (const viewer of [blocked, stranger]) expect(watchers.get(viewer)?.of(userId)).toEqual([]);
    for (const client of [bea, ...watchers.values()]) client.leave();
  });

  test('saving the same setting once more tells Redis again', async () => {
    const { userId, eve, ann, watching, everyone } = await pair();
    await allow(userId, 'nobody');
    await losses[loss]?.(userId);
    await allow(userId, 'nobody');
    const revision = await revisionOf(userId);
    expect(await rollcall.redis.hget(privacyKey(userId), 'r')).toBe(revision);
    expect(await rollcall.redis.hget(recordKey(userId), 'r')).toBe(revision);
    expect(await as(eve, 'GET', `/users/${userId}/status`)).toEqual({ userId, ...BLIND });
    for (const client of [ann, watching, everyone]) client.leave();
  });
});

/** As a Redis that went back to before the choice: nothing says that anything was ever restricted. */
async function goBack(userId: string): Promise<void> {
  await rollcall.redis.del(privacyKey(userId));
  await rollcall.redis.hset(recordKey(userId), 'r', '0');
  await rollcall.redis.srem(rollcall.key('users:restricted'), userId);
}

test('a Redis that has gone back to before a choice hears of it again, and so does who saw too much meanwhile', async () => {
  const { userId, eve, ann, watching, everyone } = await pair();
  await allow(userId, 'nobody');
  await watching.hears(userId, isInactive);
  const known = watching.of(userId).length;
  await goBack(userId);
  await ann.socket.emitWithAck('set_detail', { text: 'seen by mistake' });
  const mistaken = await watching.hears(userId, isActive, { after: known });
  await maintenance.add('compare-privacy', {});
  const corrected = await watching.hears(userId, isInactive, { after: watching.of(userId).indexOf(mistaken) + 1 });
  expect(corrected).toMatchObject({ ...BLIND, detail: {} });
  expect(corrected.version).toBeGreaterThan(mistaken.version);
  expect(await shownTo(eve, userId, watching)).toEqual(blindAt(userId));
  for (const client of [ann, watching, everyone]) client.leave();
});

test('a Redis that takes somebody for restricted who is not is told so', async () => {
  const { userId, eve, ann, watching, everyone } = await pair();
  await allow(userId, 'nobody');
  await watching.hears(userId, isInactive);
  // As a PostgreSQL that was restored to before the choice.
  await rollcall.db('user_settings').where({ user_id: userId }).delete();
  await rollcall.db('privacy_changes').where({ user_id: userId }).delete();
  await rollcall.db('users').where({ id: userId }).update({ privacy_revision: 0 });
  await maintenance.add('compare-privacy', {});
  await watching.hears(userId, isActive, { after: watching.of(userId).length });
  expect(await as(eve, 'GET', `/users/${userId}/status`)).toMatchObject({ status: 'active' });
  for (const client of [ann, watching, everyone]) client.leave();
});

test('with a PostgreSQL that is older than Redis, hiding and blocking work at once', async () => {
  const { userId, eve, ann, watching, everyone } = await pair();
  await allow(userId, 'friends');
  await allow(userId, 'everyone');
  // The rows are those of long ago; Redis stands at a revision of the days that were lost.
  const ahead = `${Date.now() + 86_400_000}`;
  await rollcall.redis.hset(privacyKey(userId), { r: ahead });
  await rollcall.db('users').where({ id: userId }).update({ privacy_revision: 3 });
  await allow(userId, 'nobody');
  expect(await as(eve, 'GET', `/users/${userId}/status`)).toEqual({ userId, ...BLIND });
  await watching.hears(userId, isInactive);
  expect(Number(await revisionOf(userId))).toBeGreaterThan(Number(ahead));
  await allow(userId, 'everyone');
  await watching.hears(userId, isActive, { after: watching.of(userId).length - 1 });
  await rollcall.redis.hset(privacyKey(userId), { r: `${Date.now() + 172_800_000}` });
  await as(eve, 'PUT', `/users/${eve}/blocks/${userId}`);
  expect(await as(eve, 'GET', `/users/${userId}/status`)).toEqual({ userId, ...BLIND });
  for (const client of [ann, watching, everyone]) client.leave();
});

test('whom somebody blocked before they ever came is out of sight from their first moment on', async () => {
  const [blocker, invented] = [person('ann'), person('nobody-yet')];
  const ann = await TestClient.connect(rollcall.web(1).url, blocker, { watch: [invented] });
  await as(blocker, 'PUT', `/users/${blocker}/blocks/${invented}`);
  const unknown = await rest(rollcall.url, 'GET', `/users/${invented}/status`, { token: await tokenFor('eve') });
  expect([unknown.status, unknown.body.code]).toEqual([404, 'USER_NOT_FOUND']);
  const came = await TestClient.connect(rollcall.web(0).url, invented, { watch: [blocker] });
  expect(came.ready?.users).toEqual([{ userId: blocker, ...BLIND, version: 0 }]);
  expect(await as(blocker, 'GET', `/users/${invented}/status`)).toEqual({ userId: invented, ...BLIND });
  expect(await as('eve', 'GET', `/users/${invented}/status`)).toMatchObject({ status: 'active' });
  expect(ann.of(invented)).toEqual([]);
  for (const client of [ann, came]) client.leave();
});

test('more blocks than one change can carry are told in steps, and hold all the same', async () => {
  const userId = person('popular');
  const blockers = Array.from({ length: 2500 }, (_, n) => `blocker-${n}`);
  await rollcall.db.raw(`INSERT INTO blocks (user_id, blocked_id) SELECT unnest(?::text[]), ?`, [blockers, userId]);
  const user = await TestClient.connect(rollcall.url, userId);
  for (const viewer of ['blocker-0', 'blocker-999', 'blocker-1000', 'blocker-2499']) {
    expect(await as(viewer, 'GET', `/users/${userId}/status`)).toEqual({ userId, ...BLIND });
  }
  expect(await as('eve', 'GET', `/users/${userId}/status`)).toMatchObject({ status: 'active' });
  const blocksThere = async () =>
    (await rollcall.redis.hkeys(privacyKey(userId))).filter((field) => field.startsWith('b:')).length;
  await eventually(blocksThere, (blocks) => blocks === 2500, 15_000);
  await as('blocker-7', 'DELETE', `/users/blocker-7/blocks/${userId}`);
  expect(await as('blocker-7', 'GET', `/users/${userId}/status`)).toMatchObject({ status: 'active' });
  expect(await blocksThere()).toBe(2499);
  user.leave();
});

test('who is open to everybody again and comes back needs neither the cache nor PostgreSQL to be seen', async () => {
  const { userId, eve, ann, watching, everyone } = await pair();
  await allow(userId, 'nobody');
  await watching.hears(userId, isInactive);
  await allow(userId, 'everyone');
  await watching.hears(userId, isActive, { after: watching.of(userId).findIndex(isInactive) });
  const known = watching.of(userId).length;
  ann.leave();
  // That of the leaving, and not one of the hiding before it: what the leaving writes must be there to be deleted.
  await watching.hears(userId, isInactive, { after: known });
  // As after a while.
  await rollcall.redis.del(recordKey(userId));
  const again = await TestClient.connect(rollcall.url, userId);
  expect(await rollcall.redis.hget(recordKey(userId), 'r')).toBe('0');
  await allow(userId, 'nobody');
  expect(await as(eve, 'GET', `/users/${userId}/status`)).toEqual({ userId, ...BLIND });
  for (const client of [again, watching, everyone]) client.leave();
});

test('who was blocked before they came relies on it for as long as they are here', async () => {
  const invented = person('nobody-yet');
  await as('blocker', 'PUT', `/users/blocker/blocks/${invented}`);
  expect(await rollcall.redis.pttl(privacyKey(invented))).toBeGreaterThan(0);
  const came = await TestClient.connect(rollcall.url, invented);
  expect(await rollcall.redis.pttl(privacyKey(invented))).toBe(-1);
  came.leave();
});

test('an id that is noted as restricted, and is nobody any more, is let go of', async () => {
  const [gone, restricted] = [person('erased'), person('hidden')];
  await allow(restricted, 'nobody');
  const noted = (userId: string) =>
    createKeys(rollcall.prefix, rollcall.env.REDIS_CLUSTER === 'true').restricted(shardOf(userId));
  // As when everybody was compared while it was erased.
  await rollcall.redis.sadd(noted(gone), gone);
  await maintenance.add('compare-privacy', {});
  await eventually(
    () => rollcall.redis.sismember(noted(gone), gone),
    (there) => there === 0,
    20_000,
  );
  expect(await rollcall.redis.smismember(noted(restricted), restricted, '')).toEqual([1, 1]);
});

test('a friend hears of an erasure also when it is told so late that nobody knows any more who could see the user', async () => {
  const [userId, friend] = [person('ann'), person('fay')];
  const host = await tokenFor('host', { scope: 'presence:write' });
  await rest(rollcall.url, 'PUT', `/users/${userId}/friends/${friend}`, { token: host });
  await allow(userId, 'friends');
  const ann = await TestClient.connect(rollcall.url, userId);
  const watching = await TestClient.connect(rollcall.web(1).url, friend, { watch: [userId] });
  expect(watching.ready?.users?.[0]).toMatchObject({ status: 'active' });
  for (const worker of rollcall.workers) worker.kill('SIGSTOP');
  const erasing = rest(rollcall.url, 'DELETE', `/users/${userId}`, { token: host });
  await eventually(
    () => rollcall.redis.exists(recordKey(userId)),
    (there) => there === 0,
  );
  // As after half a minute.
  await rollcall.redis.del(privacyKey(userId));
  for (const worker of rollcall.workers) worker.kill('SIGCONT');
  await watching.hears(userId, isInactive);
  await erasing;
  for (const client of [ann, watching]) client.leave();
});
