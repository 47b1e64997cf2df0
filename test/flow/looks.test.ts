import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { LookBudget } from '../../src/usecases/looks.ts';
import { Refused, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { EventReader } from '../support/event-reader.ts';
import { LOCK, samplesOf, total } from '../support/metrics.ts';

const MOST = 20;
let rollcall: Deployment;
let stores: Stores;
let names = 0;
beforeAll(async () => {
  rollcall = await Deployment.start('looks', {
    env: { ...CALM, ...LOCK, MAX_LOOKS_PER_USER_PER_DAY: String(MOST), AUDIENCE: 'watchers', ROOMS_OPEN: 'hall' },
  });
  const config = readConfig(rollcall.env);
  stores = openStores(config, createLogger({ ...config, logLevel: 'error' }, 'web'));
  await eventually(
    () => stores.redis.status,
    (status) => status === 'ready',
  );
});
afterAll(async () => {
  await stores?.close();
  await rollcall?.stop();
});

/** Whom nobody asked for before. */
const strangers = (count: number) => Array.from({ length: count }, () => `stranger-${++names}`);

async function query(token: string, userIds: string[]) {
  const answer = await rest(rollcall.url, 'POST', '/users/status/query', { token, body: { userIds } });
  return answer.status === 200 ? answer.body.users.length : `${answer.status} ${answer.body.code}`;
}
const REFUSED = '429 RATE_LIMITED';

test('a day has so many others, by every door together; those of that day stay free, and what is refused does not count', async () => {
  const token = await tokenFor('viewer');
  const first = strangers(MOST - 3);
  expect(await query(token, [...first, ...first, 'viewer'])).toBe(2 * first.length + 1);
  const [one = '', two = '', three = '', ...more] = strangers(5);
  expect((await rest(rollcall.url, 'GET', `/users/${one}/status`, { token })).status).toBe(404);
  const viewer = await TestClient.connect(rollcall.url, 'viewer', { watch: [two] });
  expect(await viewer.socket.emitWithAck('watch', { userIds: [three, ...more] })).toMatchObject({
    ok: false,
    error: { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) },
  });
  expect(await viewer.socket.emitWithAck('watch', { userIds: [three, one] })).toMatchObject({ ok: true });
  expect(await query(token, [...first, more[0] ?? ''])).toBe(REFUSED);
  expect((await rest(rollcall.url, 'GET', `/users/${more[0]}/status`, { token })).status).toBe(429);
  expect(await query(token, [...first, one, two, three])).toBe(MOST);
  // What may not be asked is refused for that, whoever it is about, and counts for nothing.
  expect((await rest(rollcall.url, 'GET', `/users/${more[0]}/status?include=why`, { token })).status).toBe(403);
  expect((await rest(rollcall.url, 'GET', '/users/viewer/status', { token })).status).toBe(200);
  viewer.leave();
  const { headers } = await rest(rollcall.url, 'GET', `/users/${more[0]}/status`, { token });
  const midnight = 86_400 - ((Date.now() / 1000) % 86_400);
  expect(Math.abs(Number(headers.get('retry-after')) - midnight)).toBeLessThan(60);
  // A handshake with more is refused, and leaves nothing behind.
  const refusal = await new TestClient(rollcall.url, { token, watch: more }).welcomed().catch((error) => error);
  expect(refusal).toBeInstanceOf(Refused);
  expect(refusal).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) });
  // Nor is a stream of events begun.
  const stream = (userId: string) => EventReader.open(rollcall.url, token, [userId]);
  await expect(stream(more[0] ?? '')).rejects.toMatchObject({ statusCode: 429, code: 'RATE_LIMITED' });
  const known = await stream(three);
  expect((await known.hears('snapshot')).data.users).toHaveLength(1);
  known.leave();
  expect(total(await samplesOf(rollcall.url), 'rollcall_looks_refused_total')).toBeGreaterThanOrEqual(4);
});

test('whoever hides counts as much as whoever does not, and what comes unasked and lists of friends and rooms do not', async () => {
  const host = await tokenFor('host', { scope: 'presence:write' });
  const token = await tokenFor('counter');
  const [hidden = '', seen = '', friend = '', there = ''] = strangers(4);
  for (const userId of [hidden, seen, friend])
    await TestClient.connect(rollcall.url, userId).then((one) => one.leave());
  const [visibility, as] = ['nobody', await tokenFor(hidden)];
  await rest(rollcall.url, 'PUT', `/users/${hidden}/settings`, { token: as, body: { visibility } });
  await rest(rollcall.url, 'PUT', `/users/counter/friends/${friend}`, { token: host });
  const counted = async () => Number((await stores.looks.count('counter', ['counter'], MOST)).looked);
  const before = await counted();
  for (const userId of [hidden, seen, hidden]) await rest(rollcall.url, 'GET', `/users/${userId}/status`, { token });
  expect((await counted()) - before).toBe(2);
  const inRoom = await TestClient.connect(rollcall.url, there);
  await inRoom.socket.emitWithAck('join_room', { roomId: 'hall' });
  const viewer = await TestClient.connect(rollcall.url, 'counter', { watch: [seen] });
  expect(await viewer.socket.emitWithAck('watch_room', { roomId: 'hall' })).toMatchObject({ room: { count: 1 } });
  expect((await rest(rollcall.url, 'GET', '/rooms/hall', { token })).body.users).toHaveLength(1);
  expect((await rest(rollcall.url, 'GET', '/users/counter/friends', { token })).body.friends).toHaveLength(1);
  expect((await counted()) - before).toBe(2);
  for (const client of [inRoom, viewer]) client.leave();
});

test('with 0 anybody may be asked for', async () => {
  const web = await rollcall.addWeb({ MAX_LOOKS_PER_USER_PER_DAY: '0' });
  const body = { userIds: strangers(3 * MOST) };
  const answer = await rest(web.url, 'POST', '/users/status/query', { token: await tokenFor('free'), body });
  expect(answer.body.users).toHaveLength(3 * MOST);
  expect(await rollcall.redis.exists(rollcall.key('user:looks:free'))).toBe(0);
  await web.end();
});

test('friends do not count, whether they were asked for before the day was used up or after', async () => {
  const token = await tokenFor('friendly');
  const friends = strangers(10);
  for (const friend of friends) {
    await rollcall.db('friendships').insert([
      { user_id: 'friendly', friend_id: friend },
      { user_id: friend, friend_id: 'friendly' },
    ]);
  }
  expect(await query(token, friends.slice(0, 5))).toBe(5);
  expect(await query(token, strangers(MOST))).toBe(MOST);
  expect(await query(token, strangers(1))).toBe(REFUSED);
  expect(await query(token, friends)).toBe(10);
  // Nor does who becomes a friend only now.
  const [latest = ''] = strangers(1);
  expect(await query(token, [latest])).toBe(REFUSED);
  const host = await tokenFor('host', { scope: 'presence:write' });
  await rest(rollcall.url, 'PUT', `/users/friendly/friends/${latest}`, { token: host });
  expect(await query(token, [latest])).toBe(1);
});

test('a service looks at everybody, and the budget of an erased user is gone', async () => {
  const host = await tokenFor('host', { scope: 'presence:write' });
  expect(await query(host, strangers(MOST + 5))).toBe(MOST + 5);
  const token = await tokenFor('brief');
  const brief = await TestClient.connect(rollcall.url, 'brief');
  expect(await query(token, strangers(MOST))).toBe(MOST);
  brief.leave();
  expect((await rest(rollcall.url, 'DELETE', '/users/brief', { token: host })).status).toBe(204);
  expect(await rollcall.redis.exists(rollcall.key('user:looks:brief'))).toBe(0);
  expect(await query(token, strangers(MOST))).toBe(MOST);
});

test('twenty thousand are counted to two percent in less than 12 KiB, and whoever looks most is known', async () => {
  const most = 20_000;
  const counter = stores.looks;
  const ids = Array.from({ length: 21_000 }, (_, n) => `one-of-many-${n}`);
  let counted = 0;
  for (let from = 0; from < ids.length; from += 500) {
    const { refused } = await counter.count('walker', ids.slice(from, from + 500), most);
    if (!refused) counted = from + 500;
  }
  expect(counted).toBeGreaterThanOrEqual(most * 0.97);
  expect(counted).toBeLessThanOrEqual(most * 1.025);
  const keys = ['user:looks:walker', 'user:looked:walker'].map((key) => rollcall.key(key));
  const sizes = await Promise.all(keys.map((key) => rollcall.redis.strlen(key).catch(() => 0)));
  expect(Math.max(...sizes)).toBe(12_000);
  // Until the end of the day (UTC).
  const left = 86_400_000 - (Date.now() % 86_400_000);
  for (const key of keys) expect(Math.abs((await rollcall.redis.pttl(key)) - left)).toBeLessThan(60_000);
  expect((await counter.count('walker', ids.slice(0, 500), most)).refused).toBe(false);
  // Whoever goes on by trying one after the other gets two percent more at most, beside what was left.
  let got = 0;
  for (let from = 0; from < 6000; from += 200) {
    const tries = Array.from({ length: 200 }, (_, n) => counter.count('walker', [`yet-another-${from + n}`], most));
    for (const { refused } of await Promise.all(tries)) if (!refused) got++;
  }
  expect(counted + got).toBeLessThan(most * 1.03);
  await counter.count('idler', ids.slice(0, 99), most);
  await counter.count('reader', ids.slice(0, 300), most);
  const list = await new LookBudget(stores, most, () => {}).mostLooking(2);
  expect(list.map(({ userId }) => userId)).toEqual(['walker', 'reader']);
  expect(Math.abs((list[1]?.looked ?? 0) - 300)).toBeLessThan(10);
  await stores.store.erase('walker');
  expect(await rollcall.redis.exists(...keys)).toBe(0);
  expect((await counter.most(10)).map(({ userId }) => userId)).toEqual(['reader']);
});
