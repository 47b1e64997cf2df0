import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

/** What one user may have others told of their choices: thirty in ten seconds as they come, then the newest once a second. */
let rollcall: Deployment;
beforeAll(async () => {
  rollcall = await Deployment.start('told often', { webs: 2, env: CALM });
});
afterAll(() => rollcall?.stop());

const AT_ONCE = 30;
const MANY = 120;

async function as(userId: string, method: string, path: string, body?: object) {
  // A token of its own every now and then: the limit of a token is another one.
  const token = await tokenFor(userId, { turn: Math.random() });
  const { status } = await rest(rollcall.url, method, path, { token, ...(body ? { body } : {}) });
  expect(status).toBeLessThan(300);
}

/** Runs something, and returns what the watcher heard of it until it heard the end, with how many seconds that took. */
async function heardDuring(
  watcher: TestClient,
  userId: string,
  work: () => Promise<void>,
  ends: () => Promise<unknown>,
) {
  const [before, from] = [watcher.of(userId).length, performance.now()];
  await work();
  await ends();
  const seconds = Math.ceil((performance.now() - from) / 1000);
  return { heard: watcher.of(userId).slice(before), atMost: (AT_ONCE + 1) * (1 + Math.floor(seconds / 10)) + seconds };
}

async function pair(userId: string) {
  const user = await TestClient.connect(rollcall.web(0).url, userId);
  const watcher = await TestClient.connect(rollcall.web(1).url, `watcher-of-${userId}`, { watch: [userId] });
  return { user, watcher };
}

test('details that change all the time are told in part, in order, and the newest in the end', async () => {
  const { user, watcher } = await pair('ada');
  const { heard, atMost } = await heardDuring(
    watcher,
    'ada',
    async () => {
      for (let n = 1; n <= MANY; n++) await user.socket.emitWithAck('set_detail', { text: `n${n}` });
    },
    () => watcher.hears('ada', (told) => told.detail?.text === `n${MANY}`),
  );
  expect(heard.length).toBeGreaterThanOrEqual(AT_ONCE);
  expect(heard.length).toBeLessThanOrEqual(atMost);
  const numbers = heard.map((told) => Number(told.detail?.text?.slice(1)));
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  for (const client of [user, watcher]) client.leave();
});

test('appearing inactive and back, again and again, ends as it was left, for watchers and for REST', async () => {
  const { user, watcher } = await pair('bob');
  const { heard, atMost } = await heardDuring(
    watcher,
    'bob',
    async () => {
      for (let n = 0; n < MANY; n++) {
        await user.socket.emitWithAck('set_status', { status: n % 2 === 0 ? 'inactive' : 'active' });
      }
      const { body } = await rest(rollcall.url, 'GET', '/users/bob/status', { token: await tokenFor('eve') });
      expect(body.status).toBe('active');
    },
    () =>
      eventually(
        () => watcher.of('bob').at(-1)?.status,
        (status) => status === 'active',
      ),
  );
  expect(heard.length).toBeLessThanOrEqual(2 * atMost);
  await user.socket.emitWithAck('set_status', { status: 'inactive' });
  await watcher.hears('bob', isInactive, { after: watcher.of('bob').length - 1 });
  for (const client of [user, watcher]) client.leave();
});

test('settings and blocks that go to and fro never show more than they allow, and end as they were left', async () => {
  const { user, watcher } = await pair('cid');
  const { heard, atMost } = await heardDuring(
    watcher,
    'cid',
    async () => {
      for (let n = 0; n < MANY / 2; n++) {
        const visibility = n % 2 === 0 ? 'nobody' : 'everyone';
        await as('cid', 'PUT', '/users/cid/settings', { visibility });
        await as('cid', n % 2 === 0 ? 'PUT' : 'DELETE', '/users/cid/blocks/watcher-of-cid');
      }
    },
    () =>
      eventually(
        () => watcher.of('cid').at(-1)?.status,
        (status) => status === 'active',
      ),
  );
  expect(heard.length).toBeLessThanOrEqual(2 * atMost);
  await as('cid', 'PUT', '/users/cid/blocks/watcher-of-cid');
  await watcher.hears('cid', isInactive, { after: watcher.of('cid').length - 1 });
  for (const client of [user, watcher]) client.leave();
});

test('comings and goings are told however much else was', async () => {
  const { user, watcher } = await pair('dan');
  for (let n = 1; n <= MANY / 2; n++) await user.socket.emitWithAck('set_detail', { text: `n${n}` });
  for (let round = 0; round < 5; round++) {
    const before = watcher.of('dan').length;
    if (round === 0) user.leave();
    else {
      const again = await TestClient.connect(rollcall.url, 'dan');
      await watcher.hears('dan', isActive, { after: before, withinMs: 5000 });
      again.leave();
    }
    await watcher.hears('dan', isInactive, { after: before, withinMs: 5000 });
  }
  watcher.leave();
});

test('whom others block again and again is told of in time', async () => {
  const { user, watcher } = await pair('eli');
  for (let n = 0; n < MANY / 2; n++) await as('troll', n % 2 === 0 ? 'PUT' : 'DELETE', '/users/troll/blocks/eli');
  const before = watcher.of('eli').length;
  for (let n = 1; n <= AT_ONCE; n++) await user.socket.emitWithAck('set_detail', { text: `n${n}` });
  await watcher.hears('eli', (told) => told.detail?.text === `n${AT_ONCE}`);
  expect(watcher.of('eli').slice(before)).toHaveLength(AT_ONCE);
  for (const client of [user, watcher]) client.leave();
});

/** What is asked of a Redis from now on, line by line; to be called when it is enough. */
async function monitor(url: string): Promise<() => string[]> {
  const { hostname, port } = new URL(url.includes('://') ? url : `redis://${url}`);
  const socket = connect(Number(port), hostname).setEncoding('utf8');
  let text = '';
  socket.on('data', (more: string) => {
    text += more;
  });
  socket.write('MONITOR\r\n');
  await once(socket, 'data');
  return () => {
    socket.destroy();
    return text.split('\r\n');
  };
}

test('a block and its end ask about the two of them, and not about everybody who looks on', async () => {
  const { user, watcher } = await pair('fred');
  const bystanders = await Promise.all(
    Array.from({ length: 10 }, (_, n) => TestClient.connect(rollcall.url, `bystander-${n}`, { watch: ['fred'] })),
  );
  const monitors = await Promise.all((rollcall.env.REDIS_URL ?? '').split(',').map(monitor));
  await as('fred', 'PUT', '/users/fred/blocks/watcher-of-fred');
  await watcher.hears('fred', isInactive);
  await as('fred', 'DELETE', '/users/fred/blocks/watcher-of-fred');
  await watcher.hears('fred', isActive, { after: 1 });
  const asked = monitors.flatMap((stop) => stop());
  const about = asked.filter((command) => /"evalsha"/i.test(command) && command.includes(' "fred" '));
  expect(about.some((command) => command.includes('watcher-of-fred'))).toBe(true);
  expect(about.filter((command) => command.includes('bystander-'))).toEqual([]);
  for (const client of bystanders) expect(client.of('fred')).toEqual([]);
  for (const client of [user, watcher, ...bystanders]) client.leave();
});
