import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createKeys } from '../../src/redis/keys.ts';
import { PROMPT_MS, PUSHES_IN_FLIGHT, type PushPlace, PushPlaces } from '../../src/redis/push-places.ts';
import { eventually } from '../support/eventually.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

const HOST = 'push.example.net';
const PAUSE_MS = 120_000;
let stores: TestStores;
let redis: Redis;
let prefix: string;
let places: PushPlaces;

beforeAll(async () => {
  stores = await openTestStores('push places');
  redis = new Redis(stores.redisUrl);
});
afterAll(async () => {
  redis.disconnect();
  await stores.close();
});
beforeEach(() => {
  prefix = `${stores.redisPrefix}${randomUUID()}:`;
  places = new PushPlaces(redis, createKeys(prefix, false));
});

/** What happens from now on is later, by the clock of Redis in milliseconds, than all that has happened. */
async function aMomentLater(): Promise<void> {
  const ms = async () => Math.floor(Number((await redis.time())[1]) / 1000);
  const then = await ms();
  while ((await ms()) === then);
}

async function granted(host: string, userId: string): Promise<PushPlace> {
  const { place } = await places.take(host, userId);
  if (place === null) throw new Error(`no place for ${userId} at ${host}`);
  return place;
}
const ENOUGH = { place: null, pausedMs: null };
const isPaused = { place: null, pausedMs: expect.any(Number) };

async function answered(host: string, userId: string, tookMs = 50): Promise<void> {
  expect(await places.giveBack(await granted(host, userId), 'answered', tookMs)).toBe(false);
}
async function silent(host: string, userId: string): Promise<boolean> {
  return places.giveBack(await granted(host, userId), 'silent', 0);
}

describe('a user', () => {
  test('has two tries in flight, on whatever hosts, over all workers; others have theirs', async () => {
    const another = new PushPlaces(redis, createKeys(prefix, false));
    const first = await granted('a.example', 'bad');
    expect((await another.take('b.example', 'bad')).place).not.toBeNull();
    for (let n = 0; n < 200; n++) expect(await places.take(`${n}.example`, 'bad')).toEqual(ENOUGH);
    expect((await places.take('a.example', 'good')).place).not.toBeNull();
    await another.giveBack(first, 'unknown', 0);
    expect((await places.take('c.example', 'bad')).place).not.toBeNull();
  });

  test('whose worker died has the place back after a while', async () => {
    const dying = new PushPlaces(redis, createKeys(prefix, false), { keptMs: 300 });
    for (let n = 0; n < PUSHES_IN_FLIGHT; n++) expect((await dying.take(HOST, 'ada')).place).not.toBeNull();
    const given: unknown[] = [];
    // The one who took later has theirs back later.
    while (given.length < PUSHES_IN_FLIGHT) {
      const { place } = await eventually(
        () => places.take(HOST, 'ada'),
        (turn) => turn.place !== null,
      );
      given.push(place);
    }
    expect(given[0]).toMatchObject({ host: HOST, userId: 'ada' });
    // One that comes back from the dead takes nobody's place away.
    await dying.giveBack({ id: 'long gone', host: HOST, userId: 'ada' }, 'answered', 10);
    expect(await places.take(HOST, 'ada')).toEqual(ENOUGH);
  });
});

describe('a host', () => {
  const fill = async () => {
    for (let n = 0; n < PUSHES_IN_FLIGHT; n++) await granted(HOST, `first-${n}`);
  };

  test('of which nothing is known gets two at once', async () => {
    await fill();
    expect(await places.take(HOST, 'ada')).toEqual(ENOUGH);
  });

  test('that answers promptly gets as many as there are', async () => {
    await answered(HOST, 'ada');
    await fill();
    for (let n = 0; n < 100; n++) await granted(HOST, `user-${n}`);
  });

  test('whose last answer took long gets two at once, until it is prompt again', async () => {
    await answered(HOST, 'ada');
    await answered(HOST, 'ada', PROMPT_MS + 1);
    await fill();
    expect(await places.take(HOST, 'ada')).toEqual(ENOUGH);
    await places.giveBack({ id: 'one of those', host: HOST, userId: 'first-0' }, 'answered', 20);
    await granted(HOST, 'ada');
  });

  test('that nobody ever had an answer of is left alone by all once it was silent, and then gets two at once', async () => {
    places = new PushPlaces(redis, createKeys(prefix, false), { pauseMs: 300 });
    expect(await silent(HOST, 'ada')).toBe(true);
    expect(await places.take(HOST, 'bob')).toEqual(isPaused);
    expect((await places.take('other.example', 'bob')).place).not.toBeNull();
    await eventually(
      () => places.take(HOST, 'cyd'),
      ({ place }) => place !== null,
    );
    await granted(HOST, 'dee');
    expect(await places.take(HOST, 'eve')).toEqual(ENOUGH);
  });

  test('is left alone for minutes, and said to be so once', async () => {
    const [one, two] = [await granted(HOST, 'ada'), await granted(HOST, 'bob')];
    expect(await places.giveBack(one, 'silent', 5000)).toBe(true);
    expect(await places.giveBack(two, 'silent', 5000)).toBe(false);
    const turn = await places.take(HOST, 'cyd');
    expect(turn).toEqual(isPaused);
    expect(turn.place === null && turn.pausedMs).toBeGreaterThan(PAUSE_MS - 30_000);
  });

  test('that answers others is not silent: only who meets silence there waits, until it has answered somebody', async () => {
    await answered(HOST, 'good');
    const bad = await granted(HOST, 'bad');
    await aMomentLater();
    expect(await places.giveBack(bad, 'silent', 0)).toBe(false);
    expect(await places.take(HOST, 'bad')).toEqual(isPaused);
    await answered(HOST, 'good');
    await granted(HOST, 'bad');
  });

  test('that answered somebody during the try was silent about one endpoint alone, and nobody waits', async () => {
    const bad = await granted(HOST, 'bad');
    await answered(HOST, 'good');
    expect(await places.giveBack(bad, 'silent', 5000)).toBe(false);
    await granted(HOST, 'bad');
  });

  test('that used to answer and is silent to two users, one after the other, is left alone by all', async () => {
    await answered(HOST, 'good');
    await aMomentLater();
    expect(await silent(HOST, 'bad')).toBe(false);
    expect(await silent(HOST, 'good')).toBe(true);
    expect(await places.take(HOST, 'somebody else')).toEqual(isPaused);
  });

  test('is tried by somebody else first, once it was left alone for long enough', async () => {
    places = new PushPlaces(redis, createKeys(prefix, false), { pauseMs: 1000 });
    expect(await silent(HOST, 'bad')).toBe(true);
    const { place } = await eventually(
      () => places.take(HOST, 'good'),
      (turn) => turn.place !== null,
    );
    expect(await places.take(HOST, 'bad')).toEqual(isPaused);
    if (place) await places.giveBack(place, 'answered', 10);
    await granted(HOST, 'bad');
  });

  test('that refuses connections at once is not left alone', async () => {
    const place = await granted(HOST, 'ada');
    expect(await places.giveBack(place, 'unknown', 1)).toBe(false);
    await granted(HOST, 'ada');
  });
});

test('nothing of it stays, and nothing of it names anybody', async () => {
  await answered(HOST, 'ada lovelace');
  await silent('silent.example', 'ada lovelace');
  await granted('open.example', 'ada lovelace');
  const keys = await redis.keys(`${prefix}*`);
  expect(keys.length).toBeGreaterThan(3);
  for (const key of keys) expect(await redis.pttl(key), key).toBeGreaterThan(0);
  const fields = await Promise.all(keys.filter((key) => key.includes(':host:')).map((key) => redis.hgetall(key)));
  const text = JSON.stringify([keys, fields]);
  for (const name of ['lovelace', 'silent.example', 'open.example']) expect(text).not.toContain(name);
});
