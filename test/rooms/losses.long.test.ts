import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { RedisClock } from '../../src/redis/clock.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { UserRooms } from '../../src/redis/user-rooms.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { privateRedis } from '../support/stores.ts';
import { ask, enter, type Roomer } from './world.ts';

/** Both long enough to beat and to come back in, on a machine that is busy. */
const TTL_MS = 4000;
const HANDOVER_MS = 2500;
/** What TTL and handover may be late by. */
const LATE_MS = 2000;

let redis: EmbeddedRedis;
let rollcall: Deployment;
const timers: NodeJS.Timeout[] = [];

beforeAll(async () => {
  redis = await privateRedis();
  rollcall = await Deployment.start('room losses', {
    redisUrl: redis.url,
    webs: 2,
    env: {
      AUDIENCE: 'watchers',
      PRESENCE_TTL_SECONDS: String(TTL_MS / 1000),
      HEARTBEAT_INTERVAL_SECONDS: '1',
      HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
      HANDOVER_SECONDS: String(HANDOVER_MS / 1000),
      ROOMS_TOLD: 'told:',
    },
  });
});
afterAll(async () => {
  for (const timer of timers) clearInterval(timer);
  await rollcall?.stop();
  await redis?.stop();
});

/** Somebody who beats for as long as they are connected. */
async function person(web: number, userId: string, options: Parameters<typeof enter>[3] = {}): Promise<Roomer> {
  const roomer = await enter(rollcall, web, userId, options);
  timers.push(setInterval(() => void roomer.client.beat().catch(() => {}), 700));
  return roomer;
}

const list = async (roomId: string) => (await ask(rollcall, 'GET', `/rooms/${roomId}`)).body;
const roomsOf = async (userId: string) => (await ask(rollcall, 'GET', `/users/${userId}/rooms`)).body.rooms;
const leave = (...all: Roomer[]) => all.forEach(({ client }) => void client.leave());

test('what was told of a user and reached no list, since who told it was killed, is in the list within two seconds', async () => {
  const ada = await person(0, 'ada');
  const watcher = await person(1, 'watcher');
  await watcher.watch('doc:killed');
  await ada.join('doc:other');
  const session = { userId: 'ada', sessionId: ada.client.sessionId ?? '', conn: '', roomId: 'doc:killed' };
  const rooms = new UserRooms(rollcall.redis, createKeys(rollcall.prefix, false), new RedisClock(1), TTL_MS, 50);
  // Nobody was there to apply it, and nobody hears of the wake-up.
  expect((await rooms.join(session, '{"n":1}')).code).toBe('ok');
  await watcher.sees('doc:killed', ['ada'], 2000 + LATE_MS);
  expect((await rooms.leave(session)).code).toBe('ok');
  await watcher.sees('doc:killed', [], 2000 + LATE_MS);
  leave(ada, watcher);
});

test('whose web and all workers are killed is there no longer than a TTL and two seconds, or two seconds after a worker is up again', async () => {
  const web = await rollcall.addWeb();
  const watcher = await person(0, 'watcher');
  const [gone] = [await enter(rollcall, rollcall.webs.indexOf(web), 'gone')];
  for (const each of [gone, watcher]) await each.join('doc:ghost');
  await watcher.sees('doc:ghost', ['gone', 'watcher']);
  const heardAt = performance.now();
  for (const program of [web, rollcall.worker(0)]) program.kill('SIGKILL');
  await web.exited;
  // Its list is asked by REST too, which settles nobody in it.
  await eventually(
    () => performance.now() - heardAt,
    (ms) => ms > TTL_MS + 500,
    10_000,
  );
  await rollcall.addWorker();
  await watcher.sees('doc:ghost', ['watcher'], 2000 + LATE_MS);
  expect((await list('doc:ghost')).users).toMatchObject([{ userId: 'watcher' }]);
  expect(await roomsOf('gone')).toEqual([]);
  leave(watcher);
});

test('a deploy is no leaving: who comes back to another web is told to nobody, with the same since and data', async () => {
  const web = await rollcall.addWeb();
  const watcher = await person(0, 'watcher');
  await watcher.watch('doc:deploy');
  const ada = await enter(rollcall, rollcall.webs.indexOf(web), 'ada', { deviceId: 'laptop' });
  const nameless = await enter(rollcall, rollcall.webs.indexOf(web), 'bob');
  const joined = await ada.join('doc:deploy', { n: 1 });
  await nameless.join('doc:deploy');
  await watcher.sees('doc:deploy', ['ada', 'bob']);
  const told = watcher.told.length;
  web.kill('SIGTERM');
  await Promise.all([ada, nameless].map(({ client }) => client.isDisconnected()));
  const named = [{ roomId: 'doc:deploy' }];
  const again = await Promise.all([person(1, 'ada', { deviceId: 'laptop', named }), person(1, 'bob', { named })]);
  expect(again[0]?.client.ready?.rooms?.[0]?.users?.[0]).toEqual(joined.users?.[0]);
  await web.exited;
  // Past the handover, in which those who do not come back are taken for gone.
  await new Promise((resolve) => setTimeout(resolve, HANDOVER_MS + LATE_MS));
  expect(watcher.told.slice(told)).toEqual([]);
  expect((await list('doc:deploy')).users).toHaveLength(2);
  leave(watcher, ...again);
});

test('a Redis that came back without what was said last is told where people are, and nobody hears that they left', async () => {
  const [ada, watcher] = [await person(0, 'ada'), await person(1, 'watcher')];
  const first = await ada.join('doc:older', { n: 1 });
  await ada.join('doc:left');
  await ada.client.socket.emitWithAck('leave_room', { roomId: 'doc:left' });
  await watcher.watch('doc:older');
  const key = (name: string) => rollcall.key(name);
  // As a replica that had not heard of the join, and had of neither leaving, would have it.
  const older = await rollcall.redis.hget(key('user:sessions:ada'), 'h:doc:older');
  expect(older).toMatch(/^\d+\n- \{"n":1\}$/);
  await rollcall.redis
    .multi()
    .hdel(key('user:sessions:ada'), 'h:doc:older')
    .hset(key('user:sessions:ada'), 'h:doc:left', older ?? '')
    .exec();
  // Every process loses its connections, as it does in a failover.
  await rollcall.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  const rooms = await eventually(
    () => roomsOf('ada'),
    (found) => found?.length === 1 && found[0].roomId === 'doc:older',
    10_000,
  );
  expect(rooms).toMatchObject([{ since: first.users?.[0]?.since }]);
  // Until lists were compared with the truth.
  await new Promise((resolve) => setTimeout(resolve, 7000));
  expect(watcher.left('doc:older')).toEqual([]);
  expect((await list('doc:older')).users).toEqual(first.users);
  leave(ada, watcher);
});

test('a joining and a leaving that were answered UNAVAILABLE have not happened, although Redis does them once it is back', async () => {
  const own = { ttlSeconds: 60 };
  const [comes, leaves] = [await enter(rollcall, 0, 'comes', own), await enter(rollcall, 0, 'leaves', own)];
  const watcher = await person(1, 'watcher');
  await watcher.watch('doc:late');
  const { users } = await leaves.join('doc:late', { n: 1 });
  await watcher.sees('doc:late', ['leaves']);
  const inRedis = async (userId: string) =>
    (await rollcall.redis.hexists(rollcall.key(`user:sessions:${userId}`), 'h:doc:late')) === 1;
  await redis.kill('SIGSTOP');
  const answers = await Promise.all([
    comes.client.socket.emitWithAck('join_room', { roomId: 'doc:late' }),
    leaves.client.socket.emitWithAck('leave_room', { roomId: 'doc:late' }),
  ]);
  // It does both, for a second; asked already while it stands still.
  const didBoth = eventually(
    () => Promise.all([inRedis('comes'), inRedis('leaves')]),
    ([came, left]) => came === true && left === false,
    10_000,
  );
  await redis.kill('SIGCONT');
  await didBoth;
  for (const answer of answers) expect(answer).toMatchObject({ ok: false, error: { code: 'UNAVAILABLE' } });
  await eventually(
    async () => [await inRedis('comes'), await inRedis('leaves')],
    ([came, left]) => came === false && left === true,
    10_000,
  );
  await watcher.sees('doc:late', ['leaves'], 15_000);
  expect((await list('doc:late')).users).toEqual(users);
  expect(await roomsOf('comes')).toEqual([]);
  const says = ({ client }: Roomer) => client.socket.emitWithAck('update_room', { roomId: 'doc:late', data: { n: 2 } });
  expect(await says(leaves)).toEqual({ ok: true });
  expect(await says(comes)).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
  leave(comes, leaves, watcher);
});

test('after the loss of all of Redis nobody who is still there is told as left; lists and counts are refused until it is known who is there, and then come whole', async () => {
  const [ada, bob, watcher] = [await person(0, 'ada'), await person(1, 'bob'), await person(1, 'watcher')];
  const lease = { ttlSeconds: 60, rooms: [{ roomId: 'told:lease' }] };
  expect((await ask(rollcall, 'PUT', '/users/robot/leases/build', null, lease)).status).toBe(200);
  await ada.join('told:lost', { n: 1 });
  const { users } = await bob.join('told:lost');
  await watcher.watch('told:lost');
  const before = watcher.rooms.get('told:lost')?.version ?? 0;
  await eventually(
    () => rollcall.db('changes').whereNotNull('room_id'),
    (rows) => rows.length === 2,
    15_000,
  );
  await eventually(
    () => rollcall.db('users').whereIn('id', ['ada', 'bob']).where({ status: 'active' }),
    (rows) => rows.length === 2,
    15_000,
  );

  const lostAt = performance.now();
  await rollcall.redis.flushall();
  await eventually(
    () => ask(rollcall, 'GET', '/rooms/told:lost'),
    ({ status }) => status === 503,
  );
  const counts = await ask(rollcall, 'POST', '/rooms/counts', null, { roomIds: ['told:lost'] });
  for (const refused of [counts, await ask(rollcall, 'GET', '/rooms')]) {
    expect(refused).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
  }
  const lateId = `late-${randomBytes(2).toString('hex')}`;
  const late = await person(1, lateId);
  const watch = await late.client.socket.emitWithAck('watch_room', { roomId: 'told:lost' });
  expect(watch).toMatchObject({ ok: false, error: { code: 'UNAVAILABLE' } });
  expect((await late.join('doc:lost')).users).toHaveLength(1);
  // Whether somebody looks at a room is not known either; whether they sit at a device is.
  const reach = (more: object) => ask(rollcall, 'POST', '/reach', null, { userIds: [lateId], ...more });
  expect(await reach({ roomId: 'told:lost' })).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
  expect((await reach({})).body.users).toMatchObject([{ decision: 'in_app', reason: 'attended' }]);

  const picture = await eventually(
    () => watcher.told.findLast(({ roomId, users: all }) => roomId === 'told:lost' && all !== undefined),
    (told) => told !== undefined,
    TTL_MS + HANDOVER_MS + 4 * LATE_MS,
  );
  expect(performance.now() - lostAt).toBeGreaterThan(TTL_MS + HANDOVER_MS - 1000);
  expect(picture).toMatchObject({ count: 2, users });
  expect(picture?.version).toBeGreaterThan(before);
  for (const each of [ada, bob, watcher]) expect(each.left('told:lost')).toEqual([]);
  expect(await list('told:lost')).toMatchObject({ count: 2, users });
  // Of the loss itself backends are told nothing; of the lease that nobody put again that its room is empty.
  const fed = await eventually(
    () => rollcall.db('changes').whereNotNull('room_id').orderBy('position'),
    (rows) => rows.length > 2,
    20_000,
  );
  expect(fed.map(({ room_id, status }) => `${room_id} ${status}`).sort()).toEqual([
    'told:lease active',
    'told:lease inactive',
    'told:lost active',
  ]);
  leave(ada, bob, watcher, late);
});
