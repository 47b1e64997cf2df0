import { afterAll, beforeAll, expect, test } from 'vitest';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';

const TTL_MS = 3000;
let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('seed flow', {
    webs: 2,
    env: { PRESENCE_TTL_SECONDS: '3', HEARTBEAT_INTERVAL_SECONDS: '1', HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1' },
  });
});
afterAll(() => rollcall?.stop());

const active = (change: { status: string }) => change.status === 'active';
const inactive = (change: { status: string }) => change.status === 'inactive';

test('somebody who connects is active for others within a second, also on another web', async () => {
  const here = await TestClient.connect(rollcall.web(0).url, 'watcher-1');
  const there = await TestClient.connect(rollcall.web(1).url, 'watcher-2');
  // Processes that have just started do everything for the first time with whoever comes first.
  const first = await TestClient.connect(rollcall.web(0).url, 'first');
  for (const watcher of [here, there]) await watcher.hears('first', active);
  const ada = await TestClient.connect(rollcall.web(0).url, 'ada');
  const heard = await Promise.all([here, there].map((watcher) => watcher.hears('ada', active, { withinMs: 1000 })));
  for (const change of heard)
    expect(change).toMatchObject({ userId: 'ada', status: 'active', version: expect.any(Number) });
  expect(ada.of('ada')).toEqual([]);
  expect(await rollcall.redis.get(rollcall.key('user:status:ada'))).toBe('active');
  const pttl = await rollcall.redis.pttl(rollcall.key('user:status:ada'));
  expect(pttl).toBeGreaterThan(0);
  expect(pttl).toBeLessThanOrEqual(TTL_MS);
  for (const client of [here, there, first, ada]) client.leave();
});

test('somebody who falls silent is inactive not before the TTL and within two seconds after it, last seen at the last heartbeat', async () => {
  const watcher = await TestClient.connect(rollcall.web(1).url, 'watcher-3');
  const bob = await TestClient.connect(rollcall.web(0).url, 'bob');
  await watcher.hears('bob', active);
  const before = Date.now();
  const askedAt = performance.now();
  const answer = await bob.beat();
  const beatAt = performance.now();
  const after = Date.now();
  expect(answer).toMatchObject({ ok: true, nextInMs: 1000 });
  const gone = await watcher.hears('bob', inactive, { withinMs: TTL_MS + 2500 });
  // The beat was taken between the two.
  expect(gone.heardAt - askedAt).toBeGreaterThanOrEqual(TTL_MS - 50);
  expect(gone.heardAt - beatAt).toBeLessThanOrEqual(TTL_MS + 2000);
  expect(Date.parse(gone.lastSeen ?? '')).toBeGreaterThanOrEqual(before - 5);
  expect(Date.parse(gone.lastSeen ?? '')).toBeLessThanOrEqual(after + 5);
  expect(await rollcall.redis.get(rollcall.key('user:status:bob'))).toBeNull();
  const row = await eventually(
    () => rollcall.db('users').where({ id: 'bob' }).first(),
    (found) => found?.last_seen?.toISOString() === gone.lastSeen,
    2000,
  );
  expect(row.status).toBe('inactive');
  // Still connected: the next heartbeat brings it back.
  await bob.beat();
  await watcher.hears('bob', active, { after: 2 });
  for (const client of [watcher, bob]) client.leave();
});

test('closing the last connection is inactive at once, last seen at the closing', async () => {
  const watcher = await TestClient.connect(rollcall.web(1).url, 'watcher-4');
  const cleo = await TestClient.connect(rollcall.web(0).url, 'cleo');
  await watcher.hears('cleo', active);
  const at = Date.now();
  cleo.leave();
  const gone = await watcher.hears('cleo', inactive, { withinMs: 2000 });
  // Between the goodbye and the news of it, for the server learns of a goodbye a moment later.
  expect(Date.parse(gone.lastSeen ?? '')).toBeGreaterThanOrEqual(at - 5);
  expect(Date.parse(gone.lastSeen ?? '')).toBeLessThanOrEqual(Date.now() + 5);
  const { body } = await rest(rollcall.url, 'GET', '/users/cleo/status', { token: await tokenFor('watcher-4') });
  expect(body).toEqual({ userId: 'cleo', status: 'inactive', lastSeen: gone.lastSeen });
  watcher.leave();
});

test('closing one of two tabs changes nothing for others, also when they are on two webs', async () => {
  const watcher = await TestClient.connect(rollcall.web(0).url, 'watcher-5', { watch: ['dan', 'marker'] });
  const first = await TestClient.connect(rollcall.web(0).url, 'dan');
  const second = await TestClient.connect(rollcall.web(1).url, 'dan');
  await watcher.hears('dan', active);
  first.leave();
  await second.beat();
  const marker = await TestClient.connect(rollcall.web(1).url, 'marker');
  await watcher.hears('marker', active);
  expect(watcher.of('dan').map((change) => change.status)).toEqual(['active']);
  second.leave();
  await watcher.hears('dan', inactive);
  for (const client of [watcher, marker]) client.leave();
});
