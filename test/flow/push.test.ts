import { type Job, Queue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import webPush from 'web-push';
import { alertOf, befriend, Listener } from '../support/alerts-world.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { type Browser, PushService } from '../support/push-service.ts';

const vapid = webPush.generateVAPIDKeys();
const SUBJECT = 'mailto:ops@example.com';
let rollcall: Deployment;
let pushes: PushService;
let queue: Queue;
let people = 0;
const here: TestClient[] = [];

beforeAll(async () => {
  pushes = await PushService.start();
  rollcall = await Deployment.start('push', {
    webs: 2,
    env: {
      // Nobody has to beat.
      PRESENCE_TTL_SECONDS: '600',
      HEARTBEAT_INTERVAL_SECONDS: '300',
      ALERT_STABLE_SECONDS: '0.2',
      ALERT_MIN_ABSENCE_SECONDS: '0.5',
      ALERT_COOLDOWN_SECONDS: '0.5',
      VAPID_PUBLIC_KEY: vapid.publicKey,
      VAPID_PRIVATE_KEY: vapid.privateKey,
      VAPID_SUBJECT: SUBJECT,
      PUSH_ALLOW_PRIVATE: 'true',
    },
  });
  queue = new Queue('pushes', {
    connection: rollcall.redis,
    prefix: rollcall.queuePrefix('pushes'),
    skipVersionCheck: true,
  });
});
afterAll(async () => {
  for (const client of here) client.leave();
  await queue?.close();
  await rollcall?.stop();
  await pushes?.close();
});

/** An asker who is not there, with browsers that are subscribed, and a friend. */
async function pair({ browsers = 1, alert = 'always' as 'always' | 'once' } = {}) {
  const n = ++people;
  const asker = `asker-${n}`;
  const friend = `friend-${n}`;
  await befriend(rollcall.db, asker, friend, alert);
  const listening = Array.from({ length: browsers }, () => pushes.browser());
  for (const browser of listening) expect(await subscribe(asker, browser)).toBe(204);
  const [browser] = listening;
  if (!browser) throw new Error('an asker needs a browser');
  return { asker, friend, browser, browsers: listening };
}

async function subscribe(userId: string, { subscription }: Browser): Promise<number> {
  const token = await tokenFor(userId);
  return (await rest(rollcall.url, 'PUT', `/users/${userId}/push-subscriptions`, { token, body: subscription })).status;
}

async function comes(userId: string, claims: Record<string, unknown> = {}): Promise<TestClient> {
  const client = await TestClient.connect(rollcall.web(1).url, userId, { token: await tokenFor(userId, claims) });
  here.push(client);
  return client;
}

const gets = (browser: Browser, times = 1, withinMs = 20_000) =>
  eventually(
    () => browser.received.length,
    (count) => count >= times,
    withinMs,
  );

const jobsTo = async (asker: string) => (await queue.getJobs()).filter((job) => job?.data.to === asker);
async function jobTo(asker: string, state: string): Promise<Job> {
  const id = await eventually(
    async () => {
      const [job] = await jobsTo(asker);
      return job && (await job.getState()) === state ? job.id : undefined;
    },
    (found) => found !== undefined,
    20_000,
  );
  const job = await queue.getJob(id ?? '');
  if (!job) throw new Error(`There is no job for ${asker}`);
  return job;
}

describe.concurrent('a message', () => {
  test('reaches every browser of who is away, encrypted for it alone and signed with the key it subscribed with', async () => {
    const { asker, friend, browsers } = await pair({ browsers: 2, alert: 'once' });
    const token = await tokenFor(asker);
    const { body } = await rest(rollcall.url, 'GET', '/push/public-key', { token });
    const from = Date.now();
    await comes(friend, { name: 'Ada Lovelace' });
    for (const browser of browsers) {
      await gets(browser);
      const [received] = browser.received;
      expect(received).toMatchObject({
        message: { type: 'friend_active', userId: friend, displayName: 'Ada Lovelace' },
        ttl: '600',
        urgency: 'normal',
        topic: expect.stringMatching(/^[\w-]{24}$/),
        claims: { sub: SUBJECT, aud: pushes.origin },
        applicationServerKey: body.publicKey,
      });
      const { at } = browser.messages[0] as { at: string };
      expect(Math.abs(Date.parse(at) - from)).toBeLessThan(2000);
    }
    expect(new Set(browsers.map((browser) => browser.received[0]?.topic)).size).toBe(2);
    expect(await alertOf(rollcall.db, asker, friend)).toBe('never');
  });

  test('says no name where none is known', async () => {
    const { friend, browser } = await pair();
    await comes(friend);
    await gets(browser);
    expect(browser.messages).toEqual([{ type: 'friend_active', userId: friend, at: expect.any(String) }]);
  });

  test('is not sent where a device is connected, which hears it itself', async () => {
    const { asker, friend, browser } = await pair();
    const device = await Listener.connect(rollcall.url, asker);
    const first = await comes(friend);
    await eventually(
      () => device.heardOf,
      (names) => names.length === 1,
    );
    first.leave();
    device.client.leave();
    await eventually(
      () => rollcall.db('users').where({ id: friend }).first(),
      (row) => row?.status === 'inactive',
    );
    await new Promise((resolve) => setTimeout(resolve, 600));
    await comes(friend);
    await gets(browser);
    const { at } = browser.messages[0] as { at: string };
    // The one that was sent is that of the second coming.
    expect(Date.parse(at)).toBeGreaterThan(Date.parse(device.alerts[0]?.at ?? ''));
    expect(browser.calls).toBe(1);
  });

  test('reaches the browsers of somebody who is here by a lease alone: a program that holds one hears no alerts', async () => {
    const { asker, friend, browser } = await pair();
    const token = await tokenFor('host', { scope: 'presence:write' });
    const body = { ttlSeconds: 600, kind: 'web' };
    expect((await rest(rollcall.url, 'PUT', `/users/${asker}/leases/agent`, { token, body })).status).toBe(200);
    expect((await rest(rollcall.url, 'GET', `/users/${asker}/status`, { token })).body.status).toBe('active');
    await comes(friend);
    await gets(browser);
    expect(browser.messages).toEqual([{ type: 'friend_active', userId: friend, at: expect.any(String) }]);
  });

  test('leaves nothing secret in the queue', async () => {
    const { asker, friend, browser } = await pair();
    await comes(friend);
    await gets(browser);
    const job = await jobTo(asker, 'completed');
    expect(job.data).toMatchObject({ to: asker, userId: friend, service: `127.0.0.1:${pushes.port}` });
    const text = JSON.stringify(job.data);
    const { endpoint, keys } = browser.subscription;
    for (const secret of [new URL(endpoint).pathname.split('/')[2], keys.p256dh, keys.auth]) {
      expect(text).not.toContain(secret);
    }
  });
});

describe.concurrent('a push service that', () => {
  test('asks to come back later is asked later, not sooner', async () => {
    const { friend, browser } = await pair();
    browser.reactions = [
      { status: 429, headers: { 'retry-after': '2' } },
      { status: 503, headers: { 'retry-after': new Date(Date.now() + 500).toUTCString() } },
    ];
    const from = performance.now();
    await comes(friend);
    await gets(browser);
    expect(browser.calls).toBe(3);
    expect((browser.received[0]?.at ?? 0) - from).toBeGreaterThan(2000);
    expect(browser.messages).toHaveLength(1);
  });

  test.each([
    ['in 0 seconds', () => '0'],
    ['at a moment that has passed', () => new Date(Date.now() - 5000).toUTCString()],
    ['after a fraction of a second', () => '0.2'],
    ['after less than nothing', () => '-3'],
    ['in words', () => 'soon'],
  ])('asks to be asked again %s has no more tries used up than one that says nothing', async (_, says) => {
    const { asker, friend, browser } = await pair();
    browser.reactions = [0, 1].map(() => ({ status: 429, headers: { 'retry-after': says() } }));
    await comes(friend);
    await gets(browser);
    const [first = 0, second = 0, third = 0] = browser.calledAt;
    expect(second - first).toBeGreaterThan(950);
    expect(third - second).toBeGreaterThan(1950);
    expect((await jobTo(asker, 'completed')).attemptsMade).toBe(3);
  });

  test('fails is tried again, and again', async () => {
    const { asker, friend, browser } = await pair();
    browser.reactions = [{ status: 500 }, { status: 502 }];
    await comes(friend);
    await gets(browser);
    expect(browser.calls).toBe(3);
    expect((await jobTo(asker, 'completed')).attemptsMade).toBe(3);
  });

  test.each([404, 410])('answers %i knows the subscription no more, and it is removed', async (status) => {
    const { asker, friend, browsers } = await pair({ browsers: 2 });
    const [gone, stays] = browsers as [Browser, Browser];
    gone.reactions = [{ status }];
    await comes(friend);
    await gets(stays);
    const left = await eventually(
      () => rollcall.db('push_subscriptions').where({ user_id: asker }),
      (rows) => rows.length === 1,
    );
    expect(left[0].endpoint).toBe(stays.endpoint);
    expect([gone.calls, gone.received.length]).toEqual([1, 0]);
  });

  test.each([400, 403, 413, 301])('refuses with %i is not asked again, and the subscription stays', async (status) => {
    const { asker, friend, browser } = await pair();
    browser.reactions = [{ status, headers: { location: `${pushes.origin}/elsewhere` } }];
    await comes(friend);
    const job = await jobTo(asker, 'failed');
    expect(job.failedReason).toBe(`127.0.0.1:${pushes.port} answered ${status}`);
    expect(browser.calls).toBe(1);
    expect(await rollcall.db('push_subscriptions').where({ user_id: asker })).toHaveLength(1);
  });

  test('wants to wait for longer than it is news is not asked again', async () => {
    const { asker, friend, browser } = await pair();
    browser.reactions = [{ status: 429, headers: { 'retry-after': '86400' } }];
    await comes(friend);
    expect((await jobTo(asker, 'failed')).failedReason).toMatch(/answered 429, and not to come back/);
  });

  test('is slow gets it once; one that never answers is given up and asked again', async () => {
    const slow = await pair();
    const silent = await pair();
    slow.browser.reactions = [{ status: 201, afterMs: 1500 }];
    silent.browser.reactions = [null];
    await comes(silent.friend);
    await eventually(
      () => silent.browser.calls,
      (calls) => calls === 1,
      20_000,
    );
    // That the service answers others meanwhile says that it is the endpoint that is silent.
    await comes(slow.friend);
    await gets(silent.browser);
    expect(silent.browser.calls).toBe(2);
    await jobTo(slow.asker, 'completed');
    expect([slow.browser.calls, slow.browser.received.length]).toEqual([1, 1]);
  });
});

describe.concurrent('while a message waits for its next try', () => {
  const AGAIN = { status: 503, headers: { 'retry-after': '4' } };

  async function waiting() {
    const two = await pair();
    two.browser.reactions = [AGAIN];
    const client = await comes(two.friend);
    await jobTo(two.asker, 'delayed');
    return { ...two, client };
  }

  test.each([
    ['the friend leaves', async ({ client }: Awaited<ReturnType<typeof waiting>>) => client.leave()],
    [
      'the friend appears inactive',
      ({ client }: Awaited<ReturnType<typeof waiting>>) =>
        client.socket.emitWithAck('set_status', { status: 'inactive' }),
    ],
    [
      'the friend blocks',
      ({ asker, friend }: Awaited<ReturnType<typeof waiting>>) =>
        rollcall.db('blocks').insert({ user_id: friend, blocked_id: asker }),
    ],
    [
      'the browser unsubscribes',
      async ({ asker, browser }: Awaited<ReturnType<typeof waiting>>) => {
        const token = await tokenFor(asker);
        const body = { endpoint: browser.endpoint };
        await rest(rollcall.url, 'DELETE', `/users/${asker}/push-subscriptions`, { token, body });
      },
    ],
    [
      'somebody else signs in on that browser',
      ({ browser }: Awaited<ReturnType<typeof waiting>>) => subscribe('somebody-else', browser),
    ],
  ])('and %s, it is dropped', async (_, happens) => {
    const message = await waiting();
    await happens(message);
    const job = await jobTo(message.asker, 'completed');
    expect(job.returnvalue).toEqual({ dropped: expect.any(String) });
    expect([message.browser.calls, message.browser.received.length]).toEqual([1, 0]);
  });
});

test('a push service that was dead gets it when it is back', async () => {
  const { asker, friend, browser } = await pair();
  await pushes.close();
  try {
    await comes(friend);
    await eventually(
      async () => (await jobsTo(asker))[0]?.attemptsMade ?? 0,
      (attempts) => attempts >= 1,
    );
  } finally {
    await pushes.open();
  }
  await gets(browser);
  expect(browser.calls).toBe(1);
});

test('nothing of all this was said in the log with an address or a key', async () => {
  const lines = rollcall.worker(0).lines.join('\n');
  expect(lines).toContain('A job failed and will be tried again');
  expect(lines).not.toContain('/listen/');
  expect(lines).not.toContain(vapid.privateKey);
});
