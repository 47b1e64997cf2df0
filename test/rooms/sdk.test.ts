import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createPresenceClient, type PresenceClient } from '../../src/client/index.ts';
import { type Room, type RoomView, type WatchedRoom, withRooms } from '../../src/client/rooms.ts';
import { until, untilState } from '../client/world.ts';
import { type Cable, layCable } from '../support/cable.ts';
import { tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { ask, enter, type Roomer } from './world.ts';

let rollcall: Deployment;
let cable: Cable;
const opened: PresenceClient[] = [];
/** Every test has a room of its own. */
let doc = '';
let docs = 0;

beforeAll(async () => {
  rollcall = await Deployment.start('rooms-sdk', {
    env: {
      ...CALM,
      AUDIENCE: 'watchers',
      MAX_ROOMS_PER_SESSION: '3',
      // Longer than a cut lasts on a machine that has much else to do.
      DISCONNECT_GRACE_SECONDS: '30',
      ROOM_USERS_LIMIT: '110',
    },
  });
  cable = await layCable(rollcall.url);
});
beforeEach(() => {
  docs += 1;
  doc = `doc:${docs}`;
});
afterEach(() => {
  for (const client of opened.splice(0)) client.close();
});
afterAll(async () => {
  expect(rollcall?.faults ?? []).toEqual([]);
  await cable?.close();
  await rollcall?.stop();
});

/** A client of somebody whose tokens name all documents and whatever more is given, when they are asked for. */
function someone(userId: string, { url = rollcall.url, more = [] as string[] } = {}) {
  const codes: string[] = [];
  const client = createPresenceClient({ url, getToken: () => tokenFor(userId, { rooms: ['doc:*', ...more] }) });
  client.onError(({ code }) => codes.push(code));
  opened.push(client);
  const { room, watchRoom } = withRooms(client);
  return { client, codes, room, watchRoom };
}

const sees = (room: Room | WatchedRoom, names: string[]) =>
  until<RoomView>(
    room,
    ({ users, count }) => count !== undefined && users.map(({ userId }) => userId).join() === names.join(),
  );

/** What a watcher was told since it looked. */
const toldOf = (watcher: Roomer) => watcher.told.flatMap(({ joined = [], left = [] }) => [...joined, ...left]);

test('people see one another come to a room, with what each says of themselves, and go; a count needs nobody to be there', async () => {
  const [ada, bob, eve] = [someone('ada'), someone('bob'), someone('eve')];
  for (const { client } of [ada, bob, eve]) client.connect();
  const counted = eve.watchRoom(doc);
  expect(counted.get()).toEqual({ roomId: doc, users: [], count: undefined, me: undefined, error: undefined });
  await until<RoomView>(counted, ({ count }) => count === 0);
  const adas = ada.room(doc, { data: { page: 1 } });
  await sees(adas, ['ada']);
  expect(adas.get().me).toMatchObject({ userId: 'ada', data: { page: 1 } });
  const bobs = bob.room(doc);
  // Who came first stands first.
  await Promise.all([sees(adas, ['ada', 'bob']), sees(bobs, ['ada', 'bob']), sees(counted, ['ada', 'bob'])]);
  expect(counted.get()).toMatchObject({ count: 2, me: undefined });

  const before = adas.get().users;
  bobs.update({ page: 7 });
  const seen = await until<RoomView>(adas, ({ users }) => users[1]?.data?.page === 7);
  // Only what changed is another object.
  expect(seen.users[0]).toBe(before[0]);
  expect(seen.users[1]?.since).toBe(before[1]?.since);
  bobs.leave();
  await Promise.all([sees(adas, ['ada']), until<RoomView>(counted, ({ count }) => count === 1)]);
  counted.unwatch();
  expect([...ada.codes, ...bob.codes, ...eve.codes]).toEqual([]);
});

test('what is wanted before the connection is there comes with it, and a cut causes neither a leaving nor a coming', async () => {
  const watcher = await enter(rollcall, 0, 'watcher');
  await watcher.watch(doc);
  const ada = someone('ada', { url: cable.url('ada') });
  const room = ada.room(doc, { data: { page: 1 } });
  const other = ada.watchRoom(`${doc}b`);
  ada.client.connect();
  const { me } = await until<RoomView>(room, ({ me }) => me !== undefined);
  await until<RoomView>(other, ({ count }) => count === 0);
  await watcher.sees(doc, ['ada']);
  room.update({ page: 2 });
  await until<RoomView>(room, ({ me }) => me?.data?.page === 2);

  const told = toldOf(watcher).length;
  cable.cut('ada');
  cable.break('ada');
  await untilState(ada.client, 'reconnecting');
  // What was seen stays on show, and what is said meanwhile is said with the next connection.
  expect(room.get().count).toBe(1);
  room.update({ page: 3 });
  const bob = someone('bob');
  const bobs = bob.room(doc);
  bob.client.connect();
  await sees(bobs, ['ada', 'bob']);
  cable.mend('ada');
  await untilState(ada.client, 'connected');
  await sees(room, ['ada', 'bob']);
  await until<RoomView>(bobs, ({ users }) => users[0]?.data?.page === 3);
  expect(room.get().me?.since).toBe(me?.since);
  expect(
    toldOf(watcher)
      .slice(told)
      .map(({ userId }) => userId),
  ).toEqual(['bob']);
  // And it is told of what it watches.
  const elsewhere = await enter(rollcall, 0, 'cem');
  await elsewhere.join(`${doc}b`);
  await sees(other, ['cem']);
  for (const each of [watcher, elsewhere]) each.client.leave();
});

test('two who ask for one room share it; it is left when the last lets go, and not where somebody takes hold again at once', async () => {
  const watcher = await enter(rollcall, 0, 'watcher');
  await watcher.watch(doc);
  const ada = someone('ada');
  ada.client.connect();
  await untilState(ada.client, 'connected');
  const [first, second] = [ada.room(doc), ada.room(doc)];
  await sees(second, ['ada']);
  first.leave();
  first.leave();
  second.leave();
  const third = ada.room(doc);
  third.update({ page: 9 });
  await until<RoomView>(third, ({ me }) => me?.data?.page === 9);
  // Who only looks goes on being told.
  const looking = ada.watchRoom(doc);
  third.leave();
  await sees(looking, []);
  await watcher.sees(doc, []);
  expect(watcher.left(doc)).toEqual(['ada']);
  watcher.client.leave();
});

test('a room that the token does not name is refused by itself, whatever else is named with it', async () => {
  const ada = someone('ada');
  const [mine, theirs] = [ada.room(doc), ada.room('secret:1')];
  ada.client.connect();
  await sees(mine, ['ada']);
  const { error } = await until<RoomView>(theirs, ({ error }) => error !== undefined);
  expect(error?.code).toBe('FORBIDDEN');
  expect(ada.client.connection.get().status).toBe('connected');
  expect(ada.codes).toEqual(['FORBIDDEN']);
  const large = ada.room(`${doc}b`, { data: { text: 'x'.repeat(2000) } });
  await until<RoomView>(large, ({ error }) => error?.code === 'INVALID_REQUEST');
  // Who is there already stays, and is told that it was not taken.
  mine.update({ text: 'x'.repeat(2000) });
  await eventually(
    () => ada.codes,
    (codes) => codes.join() === 'FORBIDDEN,INVALID_REQUEST,INVALID_REQUEST',
  );
  expect(mine.get()).toMatchObject({ count: 1, error: undefined });
});

test('one room too many is refused, and comes about once another is left', async () => {
  const ada = someone('ada');
  const rooms = ['a', 'b', 'c', 'd'].map((name) => ada.room(`${doc}${name}`));
  ada.client.connect();
  const settled = () => rooms.map((room) => room.get().error?.code ?? room.get().count);
  await eventually(settled, (all) => !all.includes(undefined));
  expect(settled().filter((one) => one === 'TOO_MANY_ROOMS')).toHaveLength(1);
  rooms.find((room) => !room.get().error)?.leave();
  await eventually(settled, (all) => !all.includes('TOO_MANY_ROOMS'));
  expect(ada.codes.every((code) => code === 'TOO_MANY_ROOMS')).toBe(true);
});

test('who is put out is told so and stays out, over a reconnect too, until they come again', async () => {
  const ada = someone('ada', { url: cable.url('ada') });
  const room = ada.room(doc);
  ada.client.connect();
  await sees(room, ['ada']);
  await ask(rollcall, 'DELETE', `/rooms/${doc}/users/ada`);
  const { error } = await until<RoomView>(room, ({ error }) => error !== undefined);
  expect(error?.code).toBe('KICKED');
  expect(room.get()).toMatchObject({ users: [], count: undefined });
  cable.cut('ada');
  cable.break('ada');
  await untilState(ada.client, 'reconnecting');
  cable.mend('ada');
  await untilState(ada.client, 'connected');
  expect((await ask(rollcall, 'GET', `/rooms/${doc}`)).body.users).toEqual([]);
  room.leave();
  await sees(ada.room(doc), ['ada']);
});

test('who appears inactive is not among those here, and sees that', async () => {
  const [ada, bob] = [someone('ada'), someone('bob')];
  const [adas, bobs] = [ada.room(doc), bob.room(doc)];
  for (const { client } of [ada, bob]) client.connect();
  await Promise.all([adas, bobs].map((room) => until<RoomView>(room, ({ count }) => count === 2)));
  await ada.client.setStatus('inactive');
  await Promise.all([sees(adas, ['bob']), sees(bobs, ['bob'])]);
  expect(adas.get().me).toBeUndefined();
  await ada.client.setStatus('active');
  await sees(bobs, ['bob', 'ada']);
});

test('of what is said at every move of a pointer the newest arrives, and none is refused', async () => {
  const [ada, bob] = [someone('ada'), someone('bob')];
  const [adas, bobs] = [ada.room(doc), bob.room(doc)];
  for (const { client } of [ada, bob]) client.connect();
  await Promise.all([adas, bobs].map((room) => until<RoomView>(room, ({ count }) => count === 2)));
  for (let x = 1; x <= 300; x += 1) {
    adas.update({ x });
    if (x % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await until<RoomView>(bobs, ({ users }) => users.find(({ userId }) => userId === 'ada')?.data?.x === 300);
  expect(ada.codes).toEqual([]);
});

test('who is in a room of many sees themselves there, whoever else is named: over a reconnect, hidden and shown again, and told as a count', async () => {
  const agents = Array.from({ length: 106 }, (_, n) => `a${100 + n}`);
  const lease = (userId: string, method = 'PUT') => {
    const body = method === 'PUT' ? { ttlSeconds: 600, rooms: [{ roomId: doc }] } : undefined;
    return ask(rollcall, method, `/users/${userId}/leases/x`, null, body);
  };
  await Promise.all(agents.slice(0, 104).map((userId) => lease(userId)));
  const zoe = someone('zoe', { url: cable.url('zoe') });
  const room = zoe.room(doc, { data: { page: 1 } });
  const mine = (page: number, count: number) =>
    until<RoomView>(room, (view) => view.me?.data?.page === page && view.count === count);
  zoe.client.connect();
  // They are shown by when they came, which the agents did in one moment.
  const named = (await mine(1, 105)).users.map(({ userId }) => userId);
  expect(named.toSorted()).toEqual([...agents.slice(0, 100), 'zoe']);
  const host = someone('host');
  const looking = host.watchRoom(doc);
  host.client.connect();
  const zoes = (page: number | undefined) =>
    eventually(
      async () => (await ask(rollcall, 'GET', `/rooms/${doc}?limit=200`)).body.users.at(-1),
      (last) => (last?.userId === 'zoe' ? last.data.page : undefined) === page,
    );
  room.update({ page: 2 });
  await Promise.all([mine(2, 105), zoes(2)]);

  cable.cut('zoe');
  cable.break('zoe');
  await untilState(zoe.client, 'reconnecting');
  room.update({ page: 3 });
  cable.mend('zoe');
  await untilState(zoe.client, 'connected');
  await Promise.all([mine(3, 105), zoes(3)]);

  await zoe.client.setStatus('inactive');
  await until<RoomView>(room, ({ me, count }) => me === undefined && count === 104);
  await zoe.client.setStatus('active');
  expect((await mine(3, 105)).me?.since).toBeDefined();

  for (const userId of [...agents.slice(104), 'b1', 'b2', 'b3', 'b4']) await lease(userId);
  expect((await mine(3, 111)).users).toEqual([]);
  room.update({ page: 4 });
  await Promise.all([mine(4, 111), zoes(4)]);
  await until<RoomView>(looking, ({ count }) => count === 111);
  expect(looking.get()).toMatchObject({ users: [], me: undefined });
  for (const userId of agents.slice(0, 13)) await lease(userId, 'DELETE');
  expect((await mine(4, 98)).users).toHaveLength(98);
});
