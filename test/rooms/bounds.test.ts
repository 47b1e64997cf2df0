import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoomChange } from '../../src/protocol/rooms.ts';
import { createKeys, shardOf } from '../../src/redis/keys.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { ask, enter, Roomer } from './world.ts';

/** More than are told ten times a second, and more than a picture shows. */
const MANY = 101;
const LIMIT = 106;

let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('room bounds', {
    webs: 2,
    env: { AUDIENCE: 'watchers', ROOM_USERS_LIMIT: String(LIMIT) },
  });
});
afterAll(async () => {
  expect(rollcall?.faults ?? []).toEqual([]);
  await rollcall?.stop();
});

const leave = (...all: Roomer[]) => all.forEach(({ client }) => void client.leave());
const named = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({ roomId: `many:${from + n}` }));

test('a session is in fifty rooms, a user in two hundred, by whichever sessions and leases', async () => {
  const all = await Promise.all([0, 50, 100, 150].map((from) => enter(rollcall, 0, 'ada', { named: named(from, 50) })));
  expect(all.map(({ client }) => client.ready?.rooms?.length)).toEqual([50, 50, 50, 50]);
  const more = await enter(rollcall, 1, 'ada');
  await expect(more.join('many:200')).rejects.toMatchObject({ code: 'TOO_MANY_ROOMS' });
  await more.join('many:199');
  await expect(all[0]?.join('many:199')).rejects.toMatchObject({ code: 'TOO_MANY_ROOMS' });
  await expect(enter(rollcall, 1, 'ada', { named: named(200, 1) })).rejects.toMatchObject({ code: 'TOO_MANY_ROOMS' });
  await expect(enter(rollcall, 1, 'ada', { named: named(0, 51) })).rejects.toMatchObject({ code: 'TOO_MANY_ROOMS' });
  const lease = await ask(rollcall, 'PUT', '/users/ada/leases/x', null, { ttlSeconds: 60, rooms: named(200, 1) });
  expect(lease).toMatchObject({ status: 409, body: { code: 'TOO_MANY_ROOMS' } });
  expect((await ask(rollcall, 'GET', '/users/ada/rooms')).body.rooms).toHaveLength(200);
  await all[0]?.client.socket.emitWithAck('leave_room', { roomId: 'many:0' });
  await more.join('many:200');
  leave(...all, more);
});

test('who is there is told on after it stops watching, until it leaves; who watches is told on after it left; statuses are told to nobody by that', async () => {
  const [ada, bob] = [await enter(rollcall, 0, 'ada'), await enter(rollcall, 1, 'bob')];
  const say = (event: 'leave_room' | 'unwatch_room') => ada.client.socket.emitWithAck(event, { roomId: 'doc:told' });
  await ada.join('doc:told');
  await ada.watch('doc:told');
  await say('unwatch_room');
  await bob.join('doc:told');
  await ada.sees('doc:told', ['ada', 'bob']);
  await ada.watch('doc:told');
  await say('leave_room');
  await ada.sees('doc:told', ['bob']);
  await say('unwatch_room');
  const told = ada.told.length;
  await bob.client.socket.emitWithAck('update_room', { roomId: 'doc:told', data: { n: 1 } });
  const watcher = await enter(rollcall, 0, 'watcher');
  expect((await watcher.watch('doc:told')).users).toMatchObject([{ data: { n: 1 } }]);
  await bob.client.socket.emitWithAck('leave_room', { roomId: 'doc:told' });
  await watcher.sees('doc:told', []);
  expect(ada.told).toHaveLength(told);
  for (const each of [ada, bob]) expect(each.client.heard).toEqual([]);
  leave(ada, bob, watcher);
});

test('with a logout, the removal of the session and an erasure it is over in all rooms', async () => {
  const watcher = await enter(rollcall, 0, 'watcher');
  await watcher.watch('doc:over');
  const join = async (userId: string) => {
    const one = await enter(rollcall, 1, userId);
    await one.join('doc:over');
    await watcher.sees('doc:over', [userId]);
    return one.client.sessionId;
  };
  await join('out');
  expect((await ask(rollcall, 'POST', '/users/logout', 'out', {})).status).toBe(204);
  await watcher.sees('doc:over', []);
  const sessionId = await join('removed');
  expect((await ask(rollcall, 'DELETE', `/users/removed/sessions/${sessionId}`)).status).toBe(204);
  await watcher.sees('doc:over', []);
  await join('erased');
  expect((await ask(rollcall, 'DELETE', '/users/erased')).status).toBe(204);
  await watcher.sees('doc:over', []);
  leave(watcher);
});

test('who names no room at all in a list of none has left those from before at once; data is at most 1,024 bytes', async () => {
  const watcher = await enter(rollcall, 0, 'watcher');
  await watcher.watch('doc:none');
  const first = await enter(rollcall, 1, 'ada', { deviceId: 'tab' });
  await first.join('doc:none', { text: 'x'.repeat(1024 - '{"text":""}'.length) });
  await watcher.sees('doc:none', ['ada']);
  for (const bytes of [1025, 20_000]) {
    const sent = { roomId: 'doc:none', data: { text: 'x'.repeat(bytes - '{"text":""}'.length) } };
    const refused = { ok: false, error: { code: 'INVALID_REQUEST' } };
    expect(await first.client.socket.emitWithAck('join_room', sent)).toMatchObject(refused);
    expect(await first.client.socket.emitWithAck('update_room', sent)).toMatchObject(refused);
  }
  // What is refused is none of the ten that are taken in a second.
  const update = (roomId: string, n: number) => first.client.socket.emitWithAck('update_room', { roomId, data: { n } });
  for (let n = 0; n < 12; n++) expect(await update('doc:elsewhere', n)).toMatchObject({ error: { code: 'FORBIDDEN' } });
  const taken = await Promise.all(Array.from({ length: 11 }, (_, n) => update('doc:none', n)));
  expect(taken.map(({ ok }) => ok)).toEqual([...Array(10).fill(true), false]);
  expect(taken[10]).toMatchObject({ error: { code: 'RATE_LIMITED' } });
  const again = await enter(rollcall, 0, 'ada', { deviceId: 'tab', named: [] });
  expect(again.client.ready?.rooms).toEqual([]);
  expect((await ask(rollcall, 'GET', '/users/ada/rooms')).body.rooms).toEqual([]);
  await watcher.sees('doc:none', []);
  leave(watcher, again);
});

test('with a grace who is gone is there until it has passed; a tab without a device id that comes back by then is where it says, and nowhere else', async () => {
  const graceMs = 3000;
  const web = await rollcall.addWeb({ DISCONNECT_GRACE_SECONDS: String(graceMs / 1000) });
  const [here, there] = ['doc:grace', 'doc:grace:b'];
  const at = rollcall.webs.indexOf(web);
  const watcher = await enter(rollcall, 0, 'watcher');
  for (const room of [here, there]) await watcher.watch(room);
  const tab = await enter(rollcall, at, 'ada');
  const { users } = await tab.join(here, { n: 1 });
  await tab.join(there);
  for (const room of [here, there]) await watcher.sees(room, ['ada']);
  tab.client.leave();
  await eventually(
    () => rollcall.redis.pttl(rollcall.key('user:status:ada')),
    (ms) => ms <= graceMs,
  );
  const again = await enter(rollcall, 1, 'ada', { named: [{ roomId: here, data: { n: 2 } }] });
  expect(again.client.ready?.rooms).toMatchObject([{ roomId: here, users: [{ ...users?.[0], data: { n: 2 } }] }]);
  expect((await ask(rollcall, 'GET', '/users/ada/rooms')).body.rooms).toMatchObject([
    { roomId: here, sessionIds: [again.client.sessionId] },
  ]);
  await watcher.sees(there, []);
  // Nobody hears that she went or came, only what she says anew.
  await eventually(
    () => watcher.users(here)[0]?.data?.n,
    (n) => n === 2,
  );
  const toldHere = watcher.told.filter(({ roomId }) => roomId === here).slice(1);
  expect(toldHere).toMatchObject([{ joined: [], changed: [{ userId: 'ada', data: { n: 2 } }], left: [] }]);
  again.client.leave();
  await watcher.sees(here, []);
  const bob = await enter(rollcall, at, 'bob');
  await bob.join(here);
  await watcher.sees(here, ['bob']);
  const from = Date.now();
  bob.client.leave();
  await watcher.sees(here, []);
  expect(Date.now() - from).toBeGreaterThanOrEqual(graceMs - 50);
  leave(watcher);
});

test('between the picture and the first event there is no gap, whoever comes and goes meanwhile', async () => {
  const room = 'doc:busy';
  const people = await Promise.all(Array.from({ length: 8 }, (_, n) => enter(rollcall, n % 2, `busy${n}`)));
  const viewers = await Promise.all(Array.from({ length: 4 }, (_, n) => enter(rollcall, n % 2, `viewer${n}`)));
  // Of who restricts something it is asked first what each viewer may see, and that takes a moment.
  for (const userId of ['busy0', 'busy1']) {
    await ask(rollcall, 'PUT', `/users/${userId}/settings`, null, { lastSeenVisibility: 'nobody' });
  }
  const gaps: string[] = [];
  for (const { client, rooms } of viewers) {
    client.socket.on('room_change', ({ version }) => {
      const known = rooms.get(room);
      if (known && known.users.size !== known.count) gaps.push(`${known.users.size} of ${known.count} at ${version}`);
    });
  }
  let isOver = false;
  const over = Promise.withResolvers<void>();
  const looks = viewers.map(async (viewer, n) => {
    while (!isOver) {
      const told = new Promise<void>((resolve) => void viewer.client.socket.once('room_change', () => resolve()));
      await (n < 2 ? viewer.watch(room) : viewer.join(room));
      await Promise.race([told, over.promise]);
    }
  });
  const comings = people.map(async (each) => {
    for (let n = 0; n < 3; n++) {
      await each.join(room);
      await each.client.socket.emitWithAck('leave_room', { roomId: room });
    }
    await each.join(room);
  });
  await Promise.all(comings);
  isOver = true;
  over.resolve();
  await Promise.all(looks);
  const there = [...people.keys()].map((n) => `busy${n}`).concat('viewer2', 'viewer3');
  for (const viewer of viewers) await viewer.sees(room, there);
  expect(gaps).toEqual([]);
  leave(...people, ...viewers);
});

test('who is put out and comes again before having heard of it is there like anybody', async () => {
  const [room, bob] = ['doc:again', await enter(rollcall, 1, 'bob')];
  await bob.watch(room);
  const [ada, also] = [await enter(rollcall, 0, 'ada'), await enter(rollcall, 0, 'ada')];
  for (const each of [ada, also]) await each.join(room);
  expect((await ask(rollcall, 'DELETE', `/rooms/${room}/users/ada`)).status).toBe(204);
  await ada.join(room, { n: 1 });
  await eventually(
    () => also.closed.length,
    (count) => count === 1,
  );
  expect(await ada.client.socket.emitWithAck('update_room', { roomId: room, data: { n: 2 } })).toEqual({ ok: true });
  for (const each of [ada, bob]) {
    await eventually(
      () => each.users(room)[0]?.data?.n,
      (n) => n === 2,
    );
  }
  expect(await ada.client.socket.emitWithAck('leave_room', { roomId: room })).toEqual({ ok: true });
  await bob.sees(room, []);
  leave(ada, also, bob);
});

test('a page tells by nothing that there is somebody whom the viewer may not see', async () => {
  const all = await Promise.all(['p1', 'p2', 'p3', 'p4'].map((userId) => enter(rollcall, 0, userId)));
  for (const userId of ['p2', 'p4']) {
    expect((await ask(rollcall, 'PUT', `/users/${userId}/settings`, null, { visibility: 'nobody' })).status).toBe(200);
  }
  for (const each of all) await each.join('doc:pages');
  const page = async (who: string | null, cursor: string | null = null) => {
    const path = `/rooms/doc:pages?limit=1${cursor === null ? '' : `&cursor=${cursor}`}`;
    const { users, nextCursor } = (await ask(rollcall, 'GET', path, who)).body;
    return [users[0]?.userId, nextCursor];
  };
  const [first, cursor] = await page('p1');
  expect([first, await page('p1', cursor)]).toEqual(['p1', ['p3', null]]);
  expect(await page(null, cursor)).toEqual(['p2', expect.any(String)]);
  leave(...all);
});

test('who watches a room is told on where joining it is refused', async () => {
  const [full, bob] = [await enter(rollcall, 0, 'full', { named: named(0, 50) }), await enter(rollcall, 1, 'bob')];
  await full.watch('doc:refused');
  const joins = [full.join('doc:refused'), bob.join('doc:refused')];
  await expect(joins[0]).rejects.toMatchObject({ code: 'TOO_MANY_ROOMS' });
  await joins[1];
  await full.sees('doc:refused', ['bob']);
  expect(full.told.filter(({ users }) => users !== undefined)).toEqual([]);
  leave(full, bob);
});

test('of a room that everybody has left nothing is kept for more than two minutes, and of who left for one', async () => {
  const [roomId, ada] = ['doc:kept', await enter(rollcall, 0, 'ada')];
  const keys = createKeys(rollcall.prefix, rollcall.env.REDIS_CLUSTER === 'true');
  const shard = shardOf(roomId);
  await ada.join(roomId, { n: 1 });
  await ada.client.socket.emitWithAck('update_room', { roomId, data: { n: 2 } });
  await ada.client.socket.emitWithAck('leave_room', { roomId });
  const { redis } = rollcall;
  for (const part of ['users', 'closed'] as const) expect(await redis.exists(keys.room(part, roomId))).toBe(0);
  expect(await redis.zscore(keys.roomCounts(shard), roomId)).toBeNull();
  expect(await redis.zscore(keys.roomsLeft(shard), `${roomId} ada`)).not.toBeNull();
  for (const [key, most] of [
    [keys.room('state', roomId), 120_000],
    [keys.roomsLeft(shard), 60_000],
    [keys.roomsSaid(shard), 2000],
  ] as const) {
    const left = await redis.pttl(key);
    expect(left, key).toBeLessThanOrEqual(most);
    // -2: it is gone already.
    expect(left, key).not.toBe(-1);
  }
  expect(await redis.exists(keys.userRooms('ada'))).toBe(0);
  leave(ada);
});

test('who is in a few rooms takes no key for that; what is long or more than a few stands apart, and all of it is as it was said', async () => {
  const { redis } = rollcall;
  const keys = createKeys(rollcall.prefix, rollcall.env.REDIS_CLUSTER === 'true');
  const apart = async () => (await redis.hkeys(keys.userRooms('eve'))).sort();
  const few = Array.from({ length: 8 }, (_, n) => `kept:${n}`);
  const [eve, tab] = [await enter(rollcall, 0, 'eve'), await enter(rollcall, 1, 'eve')];
  tab.client.leave();
  const since = new Map<string, string | undefined>();
  for (const roomId of few) since.set(roomId, (await eve.join(roomId)).users?.[0]?.since);
  expect(await redis.exists(keys.userRooms('eve'))).toBe(0);
  const long = `kept:${'x'.repeat(100)}`;
  for (const roomId of [long, 'kept:8']) since.set(roomId, (await eve.join(roomId)).users?.[0]?.since);
  const data = { text: 'y'.repeat(900) };
  await eve.client.socket.emitWithAck('update_room', { roomId: 'kept:0', data });
  expect(await apart()).toEqual(expect.arrayContaining(['kept:0', long]));
  expect(['listpack', 'ziplist']).toContain(await redis.object('ENCODING', keys.record('eve')));
  const other = await enter(rollcall, 1, 'eve', { named: [{ roomId: 'kept:1' }] });
  const sessions = [eve, other].map(({ client }) => client.ready?.sessionId ?? '');
  const whereIs = async () =>
    new Map(
      (await ask(rollcall, 'GET', '/users/eve/rooms')).body.rooms.map((room: { roomId: string }) => [
        room.roomId,
        room,
      ]),
    );
  for (const [roomId, room] of await whereIs()) {
    const there = roomId === 'kept:1' ? expect.arrayContaining(sessions) : [sessions[0]];
    expect(room).toEqual({ roomId, since: since.get(String(roomId)), sessionIds: there });
  }
  await other.join('kept:0', { text: 'z' });
  await eve.client.socket.emitWithAck('leave_room', { roomId: 'kept:0' });
  expect((await whereIs()).get('kept:0')).toEqual({
    roomId: 'kept:0',
    since: since.get('kept:0'),
    sessionIds: [sessions[1]],
  });
  expect(await apart()).not.toContain('kept:1');
  leave(eve, other);
  await eventually(
    async () => (await ask(rollcall, 'GET', '/users/eve/rooms')).body.rooms,
    (rooms) => rooms.length === 0,
  );
  expect(await redis.exists(keys.userRooms('eve'))).toBe(0);
});

test('a user whose token no longer names a room does not keep it by renewing a lease', async () => {
  const put = async (rooms: string[], body: object) => {
    const token = await tokenFor('agent', { rooms });
    return rest(rollcall.url, 'PUT', '/users/agent/leases/job', { token, body: { ttlSeconds: 60, ...body } });
  };
  expect((await put(['doc:*'], { rooms: [{ roomId: 'doc:lease' }] })).status).toBe(200);
  expect((await put(['doc:*'], {})).status).toBe(200);
  expect(await put(['page:*'], {})).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
  expect((await put(['page:*'], { rooms: [{ roomId: 'page:1' }] })).status).toBe(200);
  expect((await ask(rollcall, 'GET', '/users/agent/rooms')).body.rooms).toMatchObject([{ roomId: 'page:1' }]);
});

test('who looks at a room is reached there, and nobody who is only somewhere else', async () => {
  const [ada, bob] = [await enter(rollcall, 0, 'ada'), await enter(rollcall, 1, 'bob')];
  await ada.join('doc:reach');
  await ask(rollcall, 'PUT', '/users/agent/leases/job', null, { ttlSeconds: 60, rooms: [{ roomId: 'doc:reach' }] });
  const reach = async (more: object) => {
    const { body } = await ask(rollcall, 'POST', '/reach', null, { userIds: ['ada', 'bob', 'agent'], ...more });
    return body.users.map(({ decision, reason }: Record<string, string>) => `${decision} ${reason}`);
  };
  expect(await reach({ roomId: 'doc:reach' })).toEqual(['in_app in_room', 'push unattended', 'push unattended']);
  expect(await reach({})).toEqual(['in_app attended', 'in_app attended', 'push unattended']);
  await ada.client.socket.emitWithAck('set_status', { status: 'inactive' });
  expect((await reach({ roomId: 'doc:reach' }))[0]).toBe('in_app in_room');
  await ada.client.socket.emitWithAck('set_status', { status: 'active' });
  await ada.client.socket.emitWithAck('leave_room', { roomId: 'doc:reach' });
  expect((await reach({ roomId: 'doc:reach' }))[0]).toBe('push unattended');
  const bad = await ask(rollcall, 'POST', '/reach', null, { userIds: ['ada'], roomId: 'no spaces' });
  expect(bad).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
  leave(ada, bob);
});

test('of many a picture shows the first hundred, and updates are told once a second; above the limit the count is, of those whom everybody may see', async () => {
  const room = 'doc:crowd';
  const put = (n: number) =>
    ask(rollcall, 'PUT', `/users/m${String(n).padStart(3, '0')}/leases/x`, null, {
      ttlSeconds: 600,
      rooms: [{ roomId: room }],
    });
  await Promise.all(Array.from({ length: MANY }, (_, n) => put(n)));
  const [ada, watcher] = [await enter(rollcall, 0, 'ada'), await enter(rollcall, 1, 'watcher')];
  const joined = await ada.join(room, { n: 0 });
  expect(joined.users).toHaveLength(100);
  const rest = await ask(rollcall, 'GET', `/rooms/${room}?cursor=${joined.nextCursor}`, 'ada');
  expect(rest.body).toMatchObject({ count: MANY + 1, nextCursor: null });
  expect([...(joined.users ?? []), ...rest.body.users].map(({ userId }) => userId)).toEqual(
    ['ada', ...Array.from({ length: MANY }, (_, n) => `m${String(n).padStart(3, '0')}`)].sort(),
  );

  await watcher.watch(room);
  const changes = () => watcher.told.filter(({ changed = [] }: RoomChange) => changed.length > 0);
  // Behind one another and all within that second, however long each answer takes.
  const says = (n: number) => ada.client.socket.emitWithAck('update_room', { roomId: room, data: { n } });
  for (const answer of await Promise.all([1, 2, 3, 4, 5].map(says))) expect(answer).toEqual({ ok: true });
  await eventually(
    () => changes().at(-1)?.changed?.[0]?.data,
    (data) => data?.n === 5,
  );
  const versions = changes().map(({ version }) => version);
  expect(versions).toHaveLength(2);
  expect((versions[1] ?? 0) - (versions[0] ?? 0)).toBeGreaterThanOrEqual(1000);

  // Restricted, and still for everybody; for friends; for nobody.
  await ask(rollcall, 'PUT', '/users/m000/blocks/somebody', null);
  await ask(rollcall, 'PUT', '/users/m001/settings', null, { visibility: 'friends' });
  await ask(rollcall, 'PUT', '/users/m002/settings', null, { visibility: 'nobody' });
  await eventually(
    () => watcher.rooms.get(room)?.count,
    (count) => count === MANY + 1 - 2,
  );
  for (let n = MANY; n < MANY + 6; n++) await put(n);
  const all = MANY + 7;
  const counted = await eventually(
    () => watcher.told.at(-1),
    (told) => told?.count === all - 2,
  );
  expect(counted).toEqual({ roomId: room, version: counted?.version, count: all - 2 });
  const counts = watcher.told.filter((told) => !('joined' in told)).map(({ version }) => version);
  for (const [n, version] of counts.entries()) {
    if (n > 0) expect(version - (counts[n - 1] ?? 0)).toBeGreaterThanOrEqual(1000);
  }
  const by = async (who: string | null) =>
    (await ask(rollcall, 'POST', '/rooms/counts', who, { roomIds: [room] })).body;
  expect(await by(null)).toEqual({ rooms: [{ roomId: room, count: all }] });
  // Neither is there for ada, nor is she told by the count that she is the only one who could know of them.
  expect(await by('m001')).toEqual({ rooms: [{ roomId: room, count: all - 2 }] });
  expect((await ask(rollcall, 'GET', `/rooms/${room}`, 'ada')).body).toMatchObject({ count: all - 2 });

  // Of those whom a viewer may not see it does not hear that they leave, and that the count is the same.
  const token = await tokenFor('host', { scope: 'presence:read' });
  const host = new Roomer(await TestClient.connect(rollcall.url, 'host', { token, watch: [] }));
  await host.watch(room);
  const before = watcher.told.length;
  for (const [n, userId] of ['m002', 'm003'].entries()) {
    expect((await ask(rollcall, 'DELETE', `/users/${userId}/leases/x`)).status).toBe(204);
    await eventually(
      () => host.told.at(-1)?.count,
      (count) => count === all - 1 - n,
    );
  }
  await eventually(
    () => watcher.told.at(-1)?.count,
    (count) => count === all - 3,
  );
  expect(watcher.told.slice(before)).toHaveLength(1);
  leave(ada, watcher, host);
});
