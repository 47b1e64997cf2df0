import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { ask, enter } from './world.ts';

let rollcall: Deployment;
/** Every test has a room of its own. */
let room = '';
let rooms = 0;

beforeAll(async () => {
  rollcall = await Deployment.start('rooms', {
    webs: 2,
    env: {
      ROOMS_OPEN: 'open:',
      MAX_ROOMS_PER_SESSION: '3',
      MAX_WATCHED_USERS: '5',
      ROOM_USERS_LIMIT: '10',
      AUDIENCE: 'watchers',
    },
  });
});
beforeEach(() => {
  rooms++;
  room = `doc:${rooms}`;
});
afterAll(async () => {
  expect(rollcall?.faults ?? []).toEqual([]);
  await rollcall?.stop();
});

test('who is in a room is seen by those there and by those who watch, on every web, and leaves with the last of their sessions', async () => {
  const before = Date.now();
  const ada = await enter(rollcall, 0, 'ada');
  const joined = await ada.join(room, { page: 1 });
  expect(joined).toMatchObject({ roomId: room, count: 1, users: [{ userId: 'ada', data: { page: 1 } }] });
  expect(Date.parse(joined.users?.[0]?.since ?? '')).toBeGreaterThan(before - 2000);

  const watcher = await enter(rollcall, 1, 'watcher');
  expect(await watcher.watch(room)).toMatchObject({ count: 1, users: [{ userId: 'ada', data: { page: 1 } }] });
  const bob = await enter(rollcall, 1, 'bob');
  expect((await bob.join(room)).users?.map(({ userId }) => userId)).toEqual(['ada', 'bob']);
  for (const each of [ada, watcher]) await each.sees(room, ['ada', 'bob']);
  expect(watcher.rooms.get(room)?.count).toBe(2);
  expect(watcher.users(room)).toEqual(bob.users(room));

  const listed = await ask(rollcall, 'GET', `/rooms/${room}`, 'ada');
  expect(listed).toMatchObject({ status: 200, body: { roomId: room, count: 2, nextCursor: null } });
  expect(listed.body.users).toEqual(watcher.users(room));
  expect(listed.body.version).toBeGreaterThan(joined.version);

  // Two tabs are one person.
  const also = await enter(rollcall, 1, 'ada');
  expect((await also.join(room)).users?.[0]).toEqual(joined.users?.[0]);
  ada.client.leave();
  await eventually(
    async () => (await ask(rollcall, 'GET', '/users/ada/rooms')).body.rooms,
    ([one]) => one?.sessionIds.length === 1,
  );
  expect((await ask(rollcall, 'GET', '/users/ada/rooms', 'ada')).body.rooms).toEqual([
    { roomId: room, since: joined.users?.[0]?.since, sessionIds: [also.client.sessionId] },
  ]);
  expect(watcher.left(room)).toEqual([]);
  also.client.leave();
  await watcher.sees(room, ['bob']);
  expect(await bob.client.socket.emitWithAck('leave_room', { roomId: room })).toEqual({ ok: true });
  await watcher.sees(room, []);
  expect(watcher.rooms.get(room)?.count).toBe(0);
  expect((await ask(rollcall, 'GET', `/rooms/${room}`)).body).toMatchObject({ count: 0, users: [] });
  // Who left is told no more, unless they asked to watch.
  expect(bob.names(room)).toContain('bob');
  const versions = watcher.told.map(({ version }) => version);
  expect(versions).toEqual([...versions].sort((a, b) => a - b));
  for (const each of [watcher, bob]) each.client.leave();
});

test('who is idle is so in rooms, too: told as a change, shown by every list, and over once a device is in use', async () => {
  const [ada, watcher] = [await enter(rollcall, 0, 'ada-idle'), await enter(rollcall, 1, 'watcher')];
  await ada.join(room, { page: 1 });
  expect((await watcher.watch(room)).users?.[0]).not.toHaveProperty('idle');
  const shows = (idle: true | undefined) =>
    eventually(
      () => watcher.told.flatMap(({ changed = [] }) => changed).at(-1),
      (last) => last !== undefined && last.idle === idle,
      6000,
    );
  await ada.client.beat('idle');
  expect(await shows(true)).toEqual({ userId: 'ada-idle', data: { page: 1 }, idle: true });
  const late = await enter(rollcall, 0, 'late');
  expect((await late.watch(room)).users).toMatchObject([{ userId: 'ada-idle', idle: true }]);
  expect((await ask(rollcall, 'GET', `/rooms/${room}`)).body.users).toMatchObject([{ idle: true }]);
  // Another device, in use.
  const phone = await enter(rollcall, 1, 'ada-idle');
  expect(await shows(undefined)).toEqual({ userId: 'ada-idle', data: { page: 1 } });
  expect(watcher.left(room)).toEqual([]);
  expect(watcher.told.flatMap(({ joined = [] }) => joined)).toEqual([]);
  for (const each of [ada, phone, watcher, late]) each.client.leave();
});

test('what somebody says of themselves is the newest of their sessions there, and is told as a change', async () => {
  const [ada, also, watcher] = [
    await enter(rollcall, 0, 'ada'),
    await enter(rollcall, 1, 'ada'),
    await enter(rollcall, 1, 'watcher'),
  ];
  await ada.join(room);
  await also.join(room);
  expect((await watcher.watch(room)).users).toMatchObject([{ data: null }]);
  const says = (each: typeof ada, data: object) =>
    each.client.socket.emitWithAck('update_room', { roomId: room, data: { ...data } });
  const shows = (data: object | null) =>
    eventually(
      () => JSON.stringify(watcher.users(room)[0]?.data),
      (seen) => seen === JSON.stringify(data),
    );
  expect(await says(ada, { at: 'ada' })).toEqual({ ok: true });
  await shows({ at: 'ada' });
  expect(await says(also, { at: 'also' })).toEqual({ ok: true });
  await shows({ at: 'also' });
  also.client.leave();
  await shows({ at: 'ada' });
  // Joining again replaces it where it is given.
  expect((await ada.join(room)).users?.[0]?.data).toEqual({ at: 'ada' });
  expect((await ada.join(room, { at: 'again' })).users?.[0]?.data).toEqual({ at: 'again' });
  await shows({ at: 'again' });
  expect(watcher.left(room)).toEqual([]);
  expect(watcher.told.flatMap(({ joined = [] }) => joined)).toEqual([]);
  // Who said nothing there has nothing to show once the one who did is gone.
  const [said, silent] = [await enter(rollcall, 0, 'bob'), await enter(rollcall, 1, 'bob')];
  await said.join(room, { at: 'bob' });
  await silent.join(room);
  const ofBob = (n: string | undefined) =>
    eventually(
      () => watcher.users(room).find(({ userId }) => userId === 'bob')?.data,
      (data) => data !== undefined && data?.at === n,
    );
  await ofBob('bob');
  said.client.leave();
  await ofBob(undefined);
  expect(watcher.users(room)[1]?.data).toBeNull();
  silent.client.leave();
  await watcher.sees(room, ['ada']);

  const answers = await Promise.all(Array.from({ length: 14 }, (_, n) => says(ada, { n })));
  const refused = answers.filter((answer) => !answer.ok);
  // One was taken a moment before.
  expect([4, 5]).toContain(refused.length);
  expect(refused[0]).toMatchObject({ error: { code: 'RATE_LIMITED' } });
  await shows({ n: 13 - refused.length });
  // Others are told the newest, at most ten times a second of each.
  const ofAda = watcher.told.filter(({ changed = [] }) => changed.some(({ userId }) => userId === 'ada'));
  const told = ofAda.map(({ version }) => version);
  for (const [n, version] of told.entries()) {
    if (n > 0) expect(version - (told[n - 1] ?? 0)).toBeGreaterThanOrEqual(100);
  }
  const large = { text: 'x'.repeat(1014) };
  expect(await says(ada, large)).toMatchObject({ ok: false, error: { code: 'INVALID_REQUEST' } });
  const socket = ada.client.socket as unknown as { emitWithAck(event: string, sent: unknown): Promise<object> };
  for (const data of ['text', [1], 7, null]) {
    const answer = await socket.emitWithAck('update_room', { roomId: room, data });
    expect(answer, JSON.stringify(data)).toMatchObject({ ok: false, error: { code: 'INVALID_REQUEST' } });
  }
  for (const each of [ada, watcher]) each.client.leave();
});

test('refusals: rights, limits, and what a service may not', async () => {
  const eve = await enter(rollcall, 0, 'eve', { rooms: ['page:*', room] });
  const fails = (work: Promise<unknown>, code: string) => expect(work).rejects.toMatchObject({ code });
  await eve.join(room);
  await eve.join('page:1');
  await eve.join('open:7');
  await fails(eve.join('page:2'), 'TOO_MANY_ROOMS');
  await fails(eve.join('doc:none'), 'FORBIDDEN');
  await fails(eve.watch('pag'), 'FORBIDDEN');
  await fails(eve.join('no spaces'), 'INVALID_REQUEST');
  const say = (event: 'leave_room' | 'unwatch_room', roomId: string) =>
    eve.client.socket.emitWithAck(event, { roomId });
  expect(await say('leave_room', 'page:9')).toEqual({ ok: true });
  expect(await say('unwatch_room', 'page:9')).toEqual({ ok: true });
  const update = await eve.client.socket.emitWithAck('update_room', { roomId: 'page:9', data: {} });
  expect(update).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
  for (let n = 0; n < 5; n++) await eve.watch(`page:w${n}`);
  await fails(eve.watch('page:w5'), 'TOO_MANY_WATCHED');
  await eve.watch('page:w0');
  const watch = await eve.client.socket.emitWithAck('watch', { userIds: ['ada'] });
  expect(watch).toMatchObject({ ok: false, error: { code: 'TOO_MANY_WATCHED' } });

  const token = await tokenFor('host', { scope: 'presence:read' });
  const service = await TestClient.connect(rollcall.url, 'host', { token });
  const join = await service.socket.emitWithAck('join_room', { roomId: room });
  expect(join).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
  expect(await service.socket.emitWithAck('watch_room', { roomId: room })).toMatchObject({
    ok: true,
    room: { count: 1 },
  });

  const putOut = await rest(rollcall.url, 'DELETE', `/rooms/${room}/users/eve`, { token });
  expect(putOut).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });

  // By REST, too; and in a handshake, where nothing is joined then.
  const eves = await tokenFor('eve', { rooms: ['page:*', room] });
  const looks = [
    rest(rollcall.url, 'GET', '/rooms/doc:none', { token: eves }),
    rest(rollcall.url, 'POST', '/rooms/counts', { token: eves, body: { roomIds: [room, 'doc:none'] } }),
  ];
  for (const look of looks) expect(await look).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
  expect((await rest(rollcall.url, 'GET', '/rooms/open:nobody', { token: eves })).body).toMatchObject({
    count: 0,
    users: [],
    nextCursor: null,
  });
  const comes = (auth: object) => TestClient.connect(rollcall.url, 'eve', { token: eves, ...auth });
  await fails(comes({ token, rooms: [{ roomId: room }] }), 'FORBIDDEN');
  await fails(comes({ rooms: [{ roomId: 'page:3' }, { roomId: 'no spaces' }] }), 'INVALID_REQUEST');
  await fails(comes({ rooms: [{ roomId: 'page:3', data: { text: 'x'.repeat(1014) } }] }), 'INVALID_REQUEST');
  await fails(comes({ rooms: [{ roomId: 'page:3', data: [1] }] }), 'INVALID_REQUEST');
  expect((await ask(rollcall, 'GET', '/rooms/page:3')).body.count).toBe(0);

  for (const claim of [['a b'], [''], ['**'], 'page:*', [7], Array(101).fill('a'), ['x'.repeat(129)]]) {
    const bad = await tokenFor('eve', { rooms: claim });
    const refused = await TestClient.connect(rollcall.url, 'eve', { token: bad }).catch((error) => error);
    expect(refused, JSON.stringify(claim)).toMatchObject({ code: 'UNAUTHENTICATED' });
  }
  for (const each of [eve.client, service]) each.leave();
});

test('a fresh token takes away at once what it does not name', async () => {
  const [ada, bob] = [await enter(rollcall, 0, 'ada', { rooms: [room, 'page:1'] }), await enter(rollcall, 1, 'bob')];
  await ada.join(room);
  await ada.watch('page:1');
  await bob.join(room);
  await bob.sees(room, ['ada', 'bob']);
  const token = await tokenFor('ada', { rooms: ['page:1'] });
  expect(await ada.client.socket.emitWithAck('authenticate', { token })).toEqual({ ok: true });
  expect(ada.closed).toEqual([{ roomId: room, reason: 'forbidden' }]);
  await bob.sees(room, ['bob']);
  await expect(ada.join(room)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await bob.join('page:1');
  await ada.sees('page:1', ['bob']);
  for (const each of [ada, bob]) each.client.leave();
});

test('who is put out is told so and may come again; who only watches stays', async () => {
  const [ada, bob, watcher] = [
    await enter(rollcall, 0, 'ada'),
    await enter(rollcall, 1, 'bob'),
    await enter(rollcall, 1, 'ada'),
  ];
  for (const each of [ada, bob]) await each.join(room);
  await watcher.watch(room);
  expect((await ask(rollcall, 'DELETE', `/rooms/${room}/users/ada`, 'ada')).status).toBe(403);
  for (let n = 0; n < 2; n++) expect((await ask(rollcall, 'DELETE', `/rooms/${room}/users/ada`)).status).toBe(204);
  await eventually(
    () => ada.closed.length,
    (count) => count === 1,
  );
  expect(ada.closed).toEqual([{ roomId: room, reason: 'kicked' }]);
  // Once, though it was asked for twice.
  const { entries } = (await ask(rollcall, 'GET', '/audit?subject=ada')).body;
  expect(entries).toMatchObject([{ actor: 'host', act: 'kick', subject: 'ada', detail: { roomId: room } }]);
  for (const each of [bob, watcher]) await each.sees(room, ['bob']);
  expect(watcher.closed).toEqual([]);
  expect((await ada.join(room)).count).toBe(2);
  for (const each of [bob, watcher]) await each.sees(room, ['ada', 'bob']);
  for (const each of [ada, bob, watcher]) each.client.leave();
});

test('who appears inactive is in no room for anybody, and comes with a new since', async () => {
  const [ada, bob] = [await enter(rollcall, 0, 'ada'), await enter(rollcall, 1, 'bob')];
  await ada.join(room, { n: 1 });
  const first = (await bob.join(room)).users?.[0]?.since ?? '';
  const set = (status: 'active' | 'inactive') => ada.client.socket.emitWithAck('set_status', { status });
  expect(await set('inactive')).toMatchObject({ ok: true });
  for (const each of [ada, bob]) await each.sees(room, ['bob']);
  expect((await ask(rollcall, 'GET', `/rooms/${room}`)).body).toMatchObject({ count: 1, users: [{ userId: 'bob' }] });
  expect((await ask(rollcall, 'POST', '/rooms/counts', null, { roomIds: [room] })).body).toEqual({
    rooms: [{ roomId: room, count: 1 }],
  });
  expect((await ask(rollcall, 'GET', '/users/ada/rooms', 'ada')).body.rooms).toMatchObject([{ roomId: room }]);
  // Taken and told to nobody.
  const update = await ada.client.socket.emitWithAck('update_room', { roomId: room, data: { n: 2 } });
  expect(update).toEqual({ ok: true });
  expect((await ada.join(`${room}:b`)).users).toEqual([]);
  expect(await set('active')).toMatchObject({ ok: true });
  await bob.sees(room, ['ada', 'bob']);
  expect(bob.users(room)[0]?.data).toEqual({ n: 2 });
  expect(Date.parse(bob.users(room)[0]?.since ?? '')).toBeGreaterThan(Date.parse(first));
  await ada.sees(`${room}:b`, ['ada']);
  for (const each of [ada, bob]) each.client.leave();
});

test('lists go by pages, counts by many rooms, and the fullest come first', async () => {
  const people = await Promise.all(Array.from({ length: 5 }, (_, n) => enter(rollcall, n % 2, `p${n}`)));
  for (const each of people) await each.join(room);
  await people[0]?.join(`${room}:b`);
  const first = await ask(rollcall, 'GET', `/rooms/${room}?limit=3`, 'p0');
  expect(first.body.users.map(({ userId }: { userId: string }) => userId)).toEqual(['p0', 'p1', 'p2']);
  const second = await ask(rollcall, 'GET', `/rooms/${room}?limit=3&cursor=${first.body.nextCursor}`, 'p0');
  expect(second.body.users.map(({ userId }: { userId: string }) => userId)).toEqual(['p3', 'p4']);
  expect(second.body.nextCursor).toBeNull();
  const roomIds = [`${room}:b`, `${room}:none`, room];
  expect((await ask(rollcall, 'POST', '/rooms/counts', 'p0', { roomIds })).body.rooms).toEqual([
    { roomId: `${room}:b`, count: 1 },
    { roomId: `${room}:none`, count: 0 },
    { roomId: room, count: 5 },
  ]);
  const fullest = await eventually(
    async () => (await ask(rollcall, 'GET', '/rooms?limit=1')).body.rooms,
    ([one]) => one?.roomId === room,
  );
  expect(fullest).toEqual([{ roomId: room, count: 5 }]);
  expect((await ask(rollcall, 'GET', '/rooms', 'p0')).status).toBe(403);
  expect((await ask(rollcall, 'GET', '/users/p1/rooms', 'p0')).status).toBe(403);
  expect((await ask(rollcall, 'GET', '/users/nobody-ever/rooms')).body).toMatchObject({ code: 'USER_NOT_FOUND' });
  expect((await ask(rollcall, 'GET', '/rooms/x?limit=1001')).status).toBe(400);
  expect((await ask(rollcall, 'GET', '/rooms/x?cursor=zzz')).body).toMatchObject({ code: 'INVALID_REQUEST' });
  const many = Array.from({ length: 101 }, (_, n) => `r${n}`);
  expect((await ask(rollcall, 'POST', '/rooms/counts', 'p0', { roomIds: many })).status).toBe(400);
  expect((await ask(rollcall, 'POST', '/rooms/counts', null, { roomIds: many })).status).toBe(200);
  for (const each of people) each.client.leave();
  const named = async () => (await ask(rollcall, 'GET', '/rooms?limit=1000')).body.rooms;
  await eventually(named, (all) => all.every((one: { roomId: string }) => !one.roomId.startsWith(room)));
});

test('a list is of the moment in which it is asked for, on every web, told or not yet', async () => {
  const [ada, bob] = [await enter(rollcall, 0, 'ada-now'), await enter(rollcall, 1, 'bob-now')];
  await ada.join(room, { page: 1 });
  const token = await tokenFor('host', { scope: 'presence:read' });
  let version = 0;
  const lists = async (users: object[]) => {
    for (const web of [0, 1, 1, 0]) {
      const { body } = await rest(rollcall.web(web).url, 'GET', `/rooms/${room}`, { token });
      expect(body.users.map(({ userId, data }: { userId: string; data: object }) => ({ userId, data }))).toEqual(users);
      expect(body.count).toBe(users.length);
      expect(body.version).toBeGreaterThanOrEqual(version);
      version = body.version;
    }
  };
  const [of, also] = [{ userId: 'ada-now' }, { userId: 'bob-now', data: null }];
  await lists([{ ...of, data: { page: 1 } }]);
  // Of what follows within a tenth of a second only the last is told, and only then.
  for (let page = 2; page < 6; page++) {
    await ada.client.socket.emitWithAck('update_room', { roomId: room, data: { page } });
    await lists([{ ...of, data: { page } }]);
  }
  await bob.join(room);
  await lists([{ ...of, data: { page: 5 } }, also]);
  await ask(rollcall, 'POST', '/users/status', null, { userId: 'ada-now', status: 'inactive' });
  await bob.sees(room, ['bob-now']);
  await lists([also]);
  await ask(rollcall, 'POST', '/users/status', null, { userId: 'ada-now', status: 'active' });
  await bob.sees(room, ['ada-now', 'bob-now']);
  await lists([{ ...of, data: { page: 5 } }, also]);
  await bob.client.socket.emitWithAck('leave_room', { roomId: room });
  await lists([{ ...of, data: { page: 5 } }]);
  for (const each of [ada, bob]) each.client.leave();
});

test('a connection that comes back in the rooms it names goes on there, and nobody is told', async () => {
  const watcher = await enter(rollcall, 1, 'watcher');
  const ada = await enter(rollcall, 0, 'ada', { deviceId: 'laptop' });
  const first = await ada.join(room, { n: 1 });
  await ada.join(`${room}:b`);
  for (const name of [room, `${room}:b`]) await watcher.watch(name);
  const again = await enter(rollcall, 1, 'ada', { deviceId: 'laptop', rooms: undefined, named: [{ roomId: room }] });
  expect(again.client.ready?.rooms).toMatchObject([{ roomId: room, count: 1, users: first.users }]);
  // What it does not name ends at once.
  await watcher.sees(`${room}:b`, []);
  // One that names none stays for a moment where it was, and then is only where it said so again.
  const third = await enter(rollcall, 0, 'ada', { deviceId: 'laptop' });
  expect(third.client.ready).not.toHaveProperty('rooms');
  await third.join(`${room}:c`);
  await watcher.watch(`${room}:c`);
  await watcher.sees(room, []);
  expect(watcher.names(`${room}:c`)).toEqual(['ada']);
  expect(watcher.told.filter(({ roomId }) => roomId === room)).toHaveLength(1);
  expect(watcher.left(`${room}:c`)).toEqual([]);

  const named = async (rooms: string[], list: string[]) => {
    const token = await tokenFor('bob', { rooms });
    const auth = { token, rooms: list.map((roomId) => ({ roomId })) };
    return TestClient.connect(rollcall.url, 'bob', auth).catch((error) => error);
  };
  expect(await named([room], [room, 'page:1'])).toMatchObject({ code: 'FORBIDDEN' });
  expect(await named(['*'], ['r1', 'r2', 'r3', 'r4'])).toMatchObject({ code: 'TOO_MANY_ROOMS' });
  expect((await ask(rollcall, 'POST', '/rooms/counts', null, { roomIds: [room, 'r1'] })).body.rooms).toEqual([
    { roomId: room, count: 0 },
    { roomId: 'r1', count: 0 },
  ]);
  for (const each of [watcher, again, third]) each.client.leave();
});

test('who comes back with a token that does not name a room where they were is out of it two seconds later, whatever they try meanwhile', async () => {
  const [watcher, ada] = [await enter(rollcall, 1, 'watcher'), await enter(rollcall, 0, 'ada', { deviceId: 'tab' })];
  for (const name of [room, `${room}:b`]) {
    await watcher.watch(name);
    await ada.join(name, { n: 1 });
    await watcher.sees(name, ['ada']);
  }
  const again = await enter(rollcall, 1, 'ada', { deviceId: 'tab', rooms: [`${room}:b`] });
  await expect(again.join(room)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  const update = await again.client.socket.emitWithAck('update_room', { roomId: room, data: { n: 2 } });
  expect(update).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
  expect((await again.join(`${room}:b`)).users).toMatchObject([{ userId: 'ada', data: { n: 1 } }]);
  await watcher.sees(room, []);
  expect(watcher.users(`${room}:b`)).toMatchObject([{ userId: 'ada', data: { n: 1 } }]);
  expect(watcher.told.map(({ left }) => left).filter((left) => left?.length)).toEqual([[{ userId: 'ada' }]]);
  expect((await ask(rollcall, 'GET', '/users/ada/rooms')).body.rooms).toMatchObject([{ roomId: `${room}:b` }]);
  // Taken away by the token while nobody had said yet what goes on.
  const third = await enter(rollcall, 0, 'ada', { deviceId: 'tab' });
  const token = await tokenFor('ada', { rooms: [] });
  expect(await third.client.socket.emitWithAck('authenticate', { token })).toEqual({ ok: true });
  await expect(third.join(`${room}:b`)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await watcher.sees(`${room}:b`, []);
  for (const each of [watcher, again, third]) each.client.leave();
});

test('above the limit a room is told as a count, and below nine tenths of it in full again', async () => {
  const watcher = await enter(rollcall, 1, 'watcher');
  await watcher.watch(room);
  const people = await Promise.all(Array.from({ length: 11 }, (_, n) => enter(rollcall, n % 2, `b${n}`)));
  for (const each of people.slice(0, 10)) await each.join(room);
  await eventually(
    () => watcher.names(room).length,
    (count) => count === 10,
  );
  const large = await people[10]?.join(room);
  expect(large).toEqual({ roomId: room, version: large?.version, count: 11 });
  const told = await eventually(
    () => watcher.told.at(-1),
    (change) => change?.count === 11,
  );
  expect(told).toEqual({ roomId: room, version: told?.version, count: 11 });
  expect((await ask(rollcall, 'GET', `/rooms/${room}`)).body.users).toHaveLength(11);
  for (const each of people.slice(0, 3)) each.client.leave();
  const picture = await eventually(
    () => watcher.told.at(-1),
    (change) => change?.users !== undefined,
  );
  expect(picture).toMatchObject({ count: 8 });
  await watcher.sees(
    room,
    people.slice(3).map((_, n) => `b${n + 3}`),
  );
  for (const each of [watcher, ...people]) each.client.leave();
});

test('who may not be seen is not there for that viewer, in no list, event or count; who may not know the last seen gets no since', async () => {
  const settings = (userId: string, body: object) => ask(rollcall, 'PUT', `/users/${userId}/settings`, null, body);
  const [ada, bob, eve] = [
    await enter(rollcall, 0, 'ada'),
    await enter(rollcall, 1, 'bob'),
    await enter(rollcall, 1, 'eve'),
  ];
  for (const each of [bob, eve]) await each.join(room);
  expect((await ask(rollcall, 'PUT', '/users/ada/blocks/eve', 'ada')).status).toBe(204);
  await ada.join(room, { n: 1 });
  await bob.sees(room, ['ada', 'bob', 'eve']);
  expect(bob.rooms.get(room)?.count).toBe(3);
  // Of two who block each other neither sees the other.
  await ada.sees(room, ['ada', 'bob']);
  expect(ada.rooms.get(room)?.count).toBe(2);
  expect((await ask(rollcall, 'GET', `/rooms/${room}`, 'eve')).body).toMatchObject({ count: 2 });
  expect((await ask(rollcall, 'POST', '/rooms/counts', 'eve', { roomIds: [room] })).body.rooms).toEqual([
    { roomId: room, count: 2 },
  ]);
  expect((await ask(rollcall, 'GET', `/rooms/${room}`)).body).toMatchObject({ count: 3 });
  expect(eve.names(room)).not.toContain('ada');
  expect(eve.told.filter(({ joined = [] }) => joined.some(({ userId }) => userId === 'ada'))).toEqual([]);
  expect((await ask(rollcall, 'DELETE', '/users/ada/blocks/eve', 'ada')).status).toBe(204);
  await eve.sees(room, ['ada', 'bob', 'eve']);
  expect(eve.rooms.get(room)?.count).toBe(3);
  expect(eve.users(room)[0]).toMatchObject({ data: { n: 1 } });
  expect((await settings('ada', { visibility: 'nobody' })).status).toBe(200);
  for (const each of [bob, eve]) await each.sees(room, ['bob', 'eve']);
  expect(ada.names(room)).toContain('ada');
  expect((await settings('ada', { visibility: 'everyone', lastSeenVisibility: 'nobody' })).status).toBe(200);
  for (const each of [bob, eve]) await each.sees(room, ['ada', 'bob', 'eve']);
  expect(bob.users(room)[0]).toEqual({ userId: 'ada', data: { n: 1 } });
  expect(ada.users(room)[0]).toHaveProperty('since');
  expect((await settings('ada', { lastSeenVisibility: 'everyone' })).status).toBe(200);
  await eventually(
    () => bob.users(room)[0],
    (user) => user?.since !== undefined,
  );
  for (const each of [ada, bob, eve]) each.client.leave();
});

test('a lease is in rooms like any session, and ends there with it', async () => {
  const watcher = await enter(rollcall, 1, 'watcher');
  await watcher.watch(room);
  const put = (body: object) => ask(rollcall, 'PUT', '/users/robot/leases/build', null, body);
  const lease = await put({ ttlSeconds: 60, kind: 'bot', rooms: [{ roomId: room, data: { step: 1 } }] });
  expect(lease.status).toBe(200);
  await watcher.sees(room, ['robot']);
  expect(watcher.users(room)[0]).toMatchObject({ data: { step: 1 } });
  expect((await ask(rollcall, 'GET', '/users/robot/rooms')).body.rooms).toMatchObject([
    { roomId: room, sessionIds: [lease.body.sessionId] },
  ]);
  expect((await put({ ttlSeconds: 60 })).status).toBe(200);
  expect((await ask(rollcall, 'GET', `/rooms/${room}`)).body.count).toBe(1);
  const many = await put({ ttlSeconds: 60, rooms: ['a', 'b', 'c', 'd'].map((roomId) => ({ roomId })) });
  expect(many).toMatchObject({ status: 409, body: { code: 'TOO_MANY_ROOMS' } });
  const own = { ttlSeconds: 60, rooms: [{ roomId: 'page:1' }] };
  const token = await tokenFor('robot');
  const refused = await rest(rollcall.url, 'PUT', '/users/robot/leases/build', { token, body: own });
  expect(refused).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
  expect((await ask(rollcall, 'DELETE', '/users/robot/leases/build')).status).toBe(204);
  await watcher.sees(room, []);
  watcher.client.leave();
});
