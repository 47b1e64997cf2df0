import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alertOf, befriend, Listener } from '../support/alerts-world.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';

// Long enough to do something before they are over, however busy the machine.
const STABLE_MS = 4000;
const ABSENCE_MS = 5000;
let rollcall: Deployment;
/** Everybody here is somebody's friend and is told of nobody else. */
let people = 0;

beforeAll(async () => {
  rollcall = await Deployment.start('alerts', {
    webs: 2,
    env: {
      // Nobody has to beat.
      PRESENCE_TTL_SECONDS: '600',
      HEARTBEAT_INTERVAL_SECONDS: '300',
      ALERT_STABLE_SECONDS: `${STABLE_MS / 1000}`,
      ALERT_MIN_ABSENCE_SECONDS: `${ABSENCE_MS / 1000}`,
      ALERT_COOLDOWN_SECONDS: '3600',
      HANDOVER_SECONDS: '60',
    },
  });
});
afterAll(() => rollcall?.stop());

/** An asker with two devices on two webs, and a friend the asker wants to hear of. */
async function pair(alert: 'once' | 'always') {
  const n = ++people;
  const names = { asker: `asker-${n}`, friend: `friend-${n}`, last: `last-${n}` };
  await befriend(rollcall.db, names.asker, names.friend, alert);
  await befriend(rollcall.db, names.asker, names.last, 'once');
  const devices = await Promise.all([0, 1].map((web) => Listener.connect(rollcall.web(web).url, names.asker)));
  const [here, there] = devices as [Listener, Listener];
  return { ...names, here, there };
}

type Pair = Awaited<ReturnType<typeof pair>>;

const comes = (userId: string, web = 0) => TestClient.connect(rollcall.web(web).url, userId);
/** Both devices have heard so much. */
const heard = ({ here, there }: Pair, times: number) =>
  eventually(
    () => [here.heardOf, there.heardOf],
    (devices) => devices.every((names) => names.length >= times),
    15_000,
  );

/** Nothing more comes: somebody who came later has been told of, and nobody else was. */
async function hearsNoMore(told: Pair, before: string[]): Promise<void> {
  const last = await comes(told.last);
  await heard(told, before.length + 1);
  expect(told.here.heardOf).toEqual([...before, told.last]);
  expect(told.there.heardOf).toEqual([...before, told.last]);
  last.leave();
}

/** The last alert was long ago. */
async function coolDownIsOver(two: Pair): Promise<void> {
  await rollcall.db('friendships').where({ user_id: two.asker, friend_id: two.friend }).update({ alerted_at: null });
}

/** So many comings of the friend have been looked at, and told or not. */
async function looked({ friend }: Pair, times: number): Promise<void> {
  const done = async () => {
    const jobs = await rollcall.redis.keys(rollcall.key(`bull:notifications:friend-active-${friend}-*`));
    // A job at work has a lock beside it.
    const hashes = jobs.filter((key) => !key.endsWith(':lock'));
    return Promise.all(hashes.map((job) => rollcall.redis.hget(job, 'finishedOn')));
  };
  await eventually(done, (finished) => finished.length >= times && !finished.includes(null), 15_000);
}

async function goneFor(userId: string, ms: number): Promise<void> {
  const left = await eventually(
    () => rollcall.db('users').where({ id: userId }).first(),
    (row) => row?.status === 'inactive',
    15_000,
  );
  const rest = left.last_seen.getTime() + ms - Date.now();
  if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
}

describe('who asked to be told', () => {
  test.concurrent('once: every connected device hears of the first visit, on every web, and then it is used up', async () => {
    const two = await pair('once');
    const from = Date.now();
    const friend = await comes(two.friend, 1);
    const here = Date.now();
    await heard(two, 1);
    expect(Date.now() - from).toBeGreaterThanOrEqual(STABLE_MS - 50);
    const [alert] = two.here.alerts;
    expect(alert).toEqual({ userId: two.friend, at: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/) });
    // The moment of coming, not that of telling.
    expect(Date.parse(alert?.at ?? '')).toBeGreaterThanOrEqual(from - 50);
    expect(Date.parse(alert?.at ?? '')).toBeLessThanOrEqual(here + 50);
    expect(two.there.alerts).toEqual(two.here.alerts);
    expect(await alertOf(rollcall.db, two.asker, two.friend)).toBe('never');
    await coolDownIsOver(two);
    friend.leave();
    await goneFor(two.friend, ABSENCE_MS + 100);
    await comes(two.friend);
    await hearsNoMore(two, [two.friend]);
  });

  test.concurrent('always: again after a real absence, but not within the cool-down', async () => {
    const two = await pair('always');
    for (const comings of [1, 2]) {
      const friend = await comes(two.friend);
      await looked(two, comings);
      friend.leave();
      // Away for long enough, but told of a moment ago.
      await goneFor(two.friend, ABSENCE_MS + 100);
    }
    await coolDownIsOver(two);
    const third = Date.now();
    const friend = await comes(two.friend);
    await heard(two, 2);
    expect(two.here.heardOf).toEqual([two.friend, two.friend]);
    expect(Date.parse(two.here.alerts[1]?.at ?? '')).toBeGreaterThanOrEqual(third - 50);
    expect(await alertOf(rollcall.db, two.asker, two.friend)).toBe('always');
    await hearsNoMore(two, [two.friend, two.friend]);
    friend.leave();
  });

  test.concurrent('a short absence is none', async () => {
    const two = await pair('always');
    const friend = await comes(two.friend);
    await heard(two, 1);
    // The cool-down is over, and still: it is the absence that counts.
    await coolDownIsOver(two);
    const watcher = await TestClient.connect(rollcall.url, `watcher-${two.friend}`, { watch: [two.friend] });
    friend.leave();
    await watcher.hears(two.friend, isInactive);
    const again = await comes(two.friend);
    await hearsNoMore(two, [two.friend]);
    for (const client of [again, watcher]) client.leave();
  });

  test.concurrent('who does not stay is not told of, however often they come', async () => {
    const two = await pair('always');
    const watcher = await TestClient.connect(rollcall.url, `watcher-${two.friend}`, { watch: [two.friend] });
    for (let n = 0; n < 4; n++) {
      const friend = await comes(two.friend, n % 2);
      await watcher.hears(two.friend, isActive, { after: 2 * n });
      friend.leave();
      await watcher.hears(two.friend, isInactive, { after: 2 * n + 1 });
    }
    await hearsNoMore(two, []);
    expect(await alertOf(rollcall.db, two.asker, two.friend)).toBe('always');
    watcher.leave();
  });

  test.concurrent('another device of somebody who is there is no coming', async () => {
    const two = await pair('always');
    const friend = await comes(two.friend);
    await heard(two, 1);
    await coolDownIsOver(two);
    const second = await comes(two.friend, 1);
    await hearsNoMore(two, [two.friend]);
    for (const client of [friend, second]) client.leave();
  });

  test.concurrent('an alert that nobody could get is not used up', async () => {
    const n = ++people;
    await befriend(rollcall.db, `offline-${n}`, `seen-${n}`, 'once');
    await befriend(rollcall.db, `online-${n}`, `seen-${n}`, 'once');
    const online = await Listener.connect(rollcall.url, `online-${n}`);
    const friend = await comes(`seen-${n}`);
    await eventually(
      () => online.heardOf,
      (names) => names.length === 1,
      15_000,
    );
    expect(await alertOf(rollcall.db, `online-${n}`, `seen-${n}`)).toBe('never');
    expect(await alertOf(rollcall.db, `offline-${n}`, `seen-${n}`)).toBe('once');
    friend.leave();
  });
});

describe('who may not be told of', () => {
  test.concurrent('whoever appears inactive, until they show themselves', async () => {
    const two = await pair('always');
    const token = await tokenFor(two.friend);
    const post = (status: string) => rest(rollcall.url, 'POST', '/users/status', { token, body: { status } });
    expect((await post('inactive')).status).toBe(200);
    const friend = await comes(two.friend);
    await hearsNoMore(two, []);
    expect((await post('active')).status).toBe(200);
    await heard(two, 2);
    expect(two.here.heardOf).toEqual([two.last, two.friend]);
    friend.leave();
  });

  test.concurrent('whoever hides while the alert waits', async () => {
    const two = await pair('always');
    const friend = await comes(two.friend);
    expect(await friend.socket.emitWithAck('set_status', { status: 'inactive' })).toMatchObject({ ok: true });
    await hearsNoMore(two, []);
    friend.leave();
  });

  test.concurrent.each([
    [
      'whoever the asker blocks',
      (two: Pair) => rollcall.db('blocks').insert({ user_id: two.asker, blocked_id: two.friend }),
    ],
    [
      'whoever blocks the asker',
      (two: Pair) => rollcall.db('blocks').insert({ user_id: two.friend, blocked_id: two.asker }),
    ],
    [
      'whoever does not consent',
      (two: Pair) => rollcall.db('user_settings').insert({ user_id: two.friend, alert_friends: false }),
    ],
    [
      'whoever shows themselves to nobody',
      (two: Pair) => rollcall.db('user_settings').insert({ user_id: two.friend, visibility: 'nobody' }),
    ],
    [
      'whoever is a friend no more',
      (two: Pair) => rollcall.db('friendships').where({ friend_id: two.friend }).delete(),
    ],
  ])('%s', async (_, forbid) => {
    const before = await pair('always');
    await forbid(before);
    const friend = await comes(before.friend);
    await hearsNoMore(before, []);
    // And where that is so only by the time at which it would be told.
    const meanwhile = await pair('always');
    const other = await comes(meanwhile.friend);
    await forbid(meanwhile);
    await hearsNoMore(meanwhile, []);
    for (const client of [friend, other]) client.leave();
  });

  test.concurrent('visible to friends is visible enough', async () => {
    const two = await pair('once');
    await rollcall.db('user_settings').insert({ user_id: two.friend, visibility: 'friends' });
    const friend = await comes(two.friend);
    await heard(two, 1);
    expect(two.here.heardOf).toEqual([two.friend]);
    friend.leave();
  });
});

test('a deploy is no coming, and an alert that waits survives it', async () => {
  const two = await pair('always');
  const leaving = await rollcall.addWeb();
  const friend = await TestClient.connect(leaving.url, two.friend, { deviceId: 'phone' });
  leaving.kill('SIGTERM');
  await friend.isClosed();
  const back = await TestClient.connect(rollcall.url, two.friend, { deviceId: 'phone' });
  await heard(two, 1);
  // From here on only a coming could be told of.
  await coolDownIsOver(two);
  const another = await rollcall.addWeb();
  const moved = await TestClient.connect(another.url, two.friend, { deviceId: 'phone' });
  another.kill('SIGTERM');
  await moved.isClosed();
  const home = await TestClient.connect(rollcall.url, two.friend, { deviceId: 'phone' });
  await hearsNoMore(two, [two.friend]);
  for (const client of [back, home]) client.leave();
});

test('an alert that waits survives its worker', async () => {
  const two = await pair('once');
  const friend = await comes(two.friend);
  // Recorded and looked at: from now on it is the job that waits.
  await eventually(
    () => rollcall.redis.keys(rollcall.key(`bull:notifications:friend-active-${two.friend}-*`)),
    (keys) => keys.length > 0,
    15_000,
  );
  await rollcall.worker(0).end();
  expect(two.here.heardOf).toEqual([]);
  await rollcall.addWorker();
  await heard(two, 1);
  await hearsNoMore(two, [two.friend]);
  friend.leave();
});

test('nothing of all this went wrong inside', () => expect(rollcall.faults).toEqual([]));
