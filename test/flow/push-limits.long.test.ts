import { Queue } from 'bullmq';
import { afterAll, beforeAll, expect, test } from 'vitest';
import webPush from 'web-push';
import { FAILURES_KEPT } from '../../src/postgres/push-subscriptions.ts';
import { PUSHES_IN_FLIGHT } from '../../src/redis/push-places.ts';
import { digestOf } from '../../workers/alerts.ts';
import { befriend, Listener } from '../support/alerts-world.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { type Browser, PushService, Traffic } from '../support/push-service.ts';

const vapid = webPush.generateVAPIDKeys();
const LONG_MS = 40_000;
let rollcall: Deployment;
let pushes: PushService;
let queue: Queue;
let people = 0;
const services: PushService[] = [];
const here: TestClient[] = [];

beforeAll(async () => {
  rollcall = await Deployment.start('push limits', {
    workers: 2,
    env: {
      // Nobody has to beat.
      PRESENCE_TTL_SECONDS: '600',
      HEARTBEAT_INTERVAL_SECONDS: '300',
      ALERT_STABLE_SECONDS: '0',
      ALERT_MIN_ABSENCE_SECONDS: '0',
      ALERT_COOLDOWN_SECONDS: '0',
      // Whatever waits for its turn is seen to.
      WORKER_CONCURRENCY: '1',
      VAPID_PUBLIC_KEY: vapid.publicKey,
      VAPID_PRIVATE_KEY: vapid.privateKey,
      VAPID_SUBJECT: 'mailto:ops@example.com',
      PUSH_ALLOW_PRIVATE: 'true',
    },
  });
  pushes = await service();
  queue = open('pushes');
});
afterAll(async () => {
  for (const client of here) client.leave();
  await queue?.close();
  await rollcall?.stop();
  await Promise.all(services.map((each) => each.close()));
});

function open(name: string): Queue {
  return new Queue(name, {
    connection: rollcall.redis,
    prefix: rollcall.queuePrefix(name),
    skipVersionCheck: true,
  });
}

async function service(traffic = new Traffic()): Promise<PushService> {
  const started = await PushService.start(traffic);
  services.push(started);
  return started;
}

/** Push services that take calls and never answer; each is a host of its own. */
async function silentServices(count: number) {
  const traffic = new Traffic();
  const silent = await Promise.all(Array.from({ length: count }, () => service(traffic)));
  for (const each of silent) each.standing = null;
  return { traffic, silent };
}

/** A user who is away and wants to hear of so many friends, on these browsers. */
async function asker({ browsers, friends = 1 }: { browsers: Browser[]; friends?: number }) {
  const n = ++people;
  const names = { asker: `asker-${n}`, friends: Array.from({ length: friends }, (_, k) => `friend-${n}-${k}`) };
  for (const friend of names.friends) await befriend(rollcall.db, names.asker, friend, 'always');
  const token = await tokenFor(names.asker);
  for (const { subscription } of browsers) {
    const path = `/users/${names.asker}/push-subscriptions`;
    expect((await rest(rollcall.url, 'PUT', path, { token, body: subscription })).status).toBe(204);
  }
  return names;
}

async function come(users: string[]): Promise<void> {
  here.push(...(await Promise.all(users.map((userId) => TestClient.connect(rollcall.url, userId, { watch: [] })))));
}

const jobsTo = async (userId: string) => (await queue.getJobs()).filter((job) => job?.data.to === userId);
/** Resolves once there are so many messages for the user. */
const jobsFor = (userId: string, count: number) =>
  eventually(
    () => jobsTo(userId),
    (jobs) => jobs.length === count,
    LONG_MS,
  );
const gets = (browser: Browser, times = 1) =>
  eventually(
    () => browser.received.length,
    (count) => count >= times,
    LONG_MS,
  );

test('a user whose browsers are all silent, each on a host of its own, delays nobody’s push and nobody’s alert', async () => {
  const { traffic, silent } = await silentServices(20);
  const bad = await asker({ browsers: silent.map((each) => each.browser()), friends: 10 });
  await come(bad.friends);
  await jobsFor(bad.asker, 200);

  const browser = pushes.browser();
  const good = await asker({ browsers: [browser], friends: 3 });
  const connected = await asker({ browsers: [], friends: 1 });
  const device = await Listener.connect(rollcall.url, connected.asker);
  here.push(device.client);
  await come([...good.friends, ...connected.friends]);
  await gets(browser, 3);
  await eventually(
    () => device.heardOf,
    (names) => names.length === 1,
    LONG_MS,
  );
  expect(traffic.calls).toBeGreaterThan(0);
  // A server hears a moment late that a call was given up.
  expect(traffic.mostAtOnce).toBeLessThanOrEqual(2 * PUSHES_IN_FLIGHT);
  // Who waits for their turn has not used up a try.
  const left = await jobsTo(bad.asker);
  expect(left.length).toBeGreaterThan(150);
  const untried = left.filter((job) => job.attemptsMade === 0);
  expect(untried.length).toBeGreaterThan(left.length - traffic.calls - 1);
});

test('a push service that is silent to one user’s browsers goes on to serve all others', async () => {
  const shared = await service();
  const others = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const browser = shared.browser();
      return { browser, ...(await asker({ browsers: [browser], friends: 4 })) };
    }),
  );
  await come(others.map(({ friends }) => friends[0] ?? ''));
  for (const { browser } of others) await gets(browser);

  const mute = Array.from({ length: 20 }, () => shared.browser());
  for (const browser of mute) browser.reactions = Array.from({ length: 100 }, () => null);
  const bad = await asker({ browsers: mute, friends: 5 });
  await come(bad.friends);
  await jobsFor(bad.asker, 100);
  await eventually(
    () => mute.reduce((calls, browser) => calls + browser.calls, 0),
    (calls) => calls >= PUSHES_IN_FLIGHT,
    LONG_MS,
  );
  await come(others.flatMap(({ friends }) => friends.slice(1)));
  for (const { browser } of others) await gets(browser, 4);
  expect(shared.traffic.calls).toBeGreaterThanOrEqual(20 + PUSHES_IN_FLIGHT);
});

test('a host that did not answer is left alone for minutes, by all users and without using up their tries', async () => {
  const { traffic, silent } = await silentServices(1);
  const [host] = silent as [PushService];
  const users = await Promise.all(Array.from({ length: 6 }, () => asker({ browsers: [host.browser()] })));
  await come(users.flatMap(({ friends }) => friends));
  const jobs = async () => (await Promise.all(users.map((user) => jobsTo(user.asker)))).flat();
  const waiting = await eventually(
    jobs,
    (found) => found.length === 6 && found.every((job) => job.delay > 60_000),
    LONG_MS,
  );
  const tried = waiting.filter((job) => job.attemptsMade > 0);
  expect(tried.length).toBeGreaterThan(0);
  expect(tried.length).toBeLessThanOrEqual(PUSHES_IN_FLIGHT);
  expect(tried.every((job) => job.attemptsMade === 1)).toBe(true);
  expect(traffic.calls).toBe(tried.length);
  const lines = rollcall.workers.flatMap((worker) => worker.lines);
  const said = lines.filter((line) => line.includes('A push service does not answer') && line.includes(`${host.port}`));
  expect(said).toHaveLength(1);

  // Who is erased meanwhile is named by no message that waits any more.
  const [{ friends: erased }] = users as [(typeof users)[number]];
  const token = await tokenFor('host', { scope: 'presence:write' });
  expect((await rest(rollcall.url, 'DELETE', `/users/${erased[0]}`, { token })).status).toBe(204);
  const left = await eventually(jobs, (found) => found.length < 6, LONG_MS);
  expect(left.map((job) => job.data.userId).sort()).toEqual(
    users
      .slice(1)
      .flatMap(({ friends }) => friends)
      .sort(),
  );
});

test('a message that is ten minutes old is no news any more, however it waited', async () => {
  const browser = pushes.browser();
  const { asker: to, friends } = await asker({ browsers: [browser] });
  const data = { to, userId: friends[0], at: new Date().toISOString(), subscription: digestOf(browser.endpoint) };
  const old = { timestamp: Date.now() - 600_000 };
  const job = await queue.add('push', { ...data, service: `127.0.0.1:${pushes.port}` }, old);
  const done = await eventually(
    () => queue.getJob(job.id ?? ''),
    (found) => found?.finishedOn !== undefined,
    LONG_MS,
  );
  expect(done?.returnvalue).toEqual({ dropped: 'no news any more' });
  expect(browser.calls).toBe(0);
});

test('a message that was left among the alerts by an older worker is sent all the same', async () => {
  const browser = pushes.browser();
  const { asker: to, friends } = await asker({ browsers: [browser] });
  const [userId = ''] = friends;
  // It must not be sent by the way of today, so that it is known which it was.
  await rollcall.db('friendships').where({ user_id: to }).update({ alert: 'never' });
  await come([userId]);
  const { version } = await eventually(
    () => rollcall.db('users').where({ id: userId }).first(),
    (row) => row?.status === 'active',
  );
  const at = new Date(Number(version)).toISOString();
  const data = { to, userId, at, subscription: digestOf(browser.endpoint) };
  const notifications = open('notifications');
  try {
    const jobId = `push-${digestOf(browser.endpoint, userId, at)}`;
    await notifications.add('push', { ...data, service: `127.0.0.1:${pushes.port}` }, { jobId });
    await gets(browser);
  } finally {
    await notifications.close();
  }
  expect(browser.messages).toEqual([{ type: 'friend_active', userId, at }]);
});

test('a subscription that failed too often in a row goes; one that takes a message begins anew', async () => {
  const [failing, mending] = [pushes.browser(), pushes.browser()];
  failing.reactions = [{ status: 400 }];
  const names = await asker({ browsers: [failing, mending] });
  await rollcall
    .db('push_subscriptions')
    .where({ user_id: names.asker })
    .update({ failures: FAILURES_KEPT - 1, failing_since: new Date() });
  await come(names.friends);
  await gets(mending);
  const left = await eventually(
    () => rollcall.db('push_subscriptions').where({ user_id: names.asker }),
    (rows) => rows.length === 1 && rows[0].taken_at !== null,
    LONG_MS,
  );
  expect(left[0]).toMatchObject({ endpoint: mending.endpoint, failures: 0, failing_since: null });
  const failed = await eventually(
    async () => (await jobsTo(names.asker)).find((job) => job.failedReason !== undefined),
    (job) => job?.finishedOn !== undefined,
    LONG_MS,
  );
  expect(failed?.failedReason).toMatch(/answered 400, as always of late: the subscription was removed$/);
});
