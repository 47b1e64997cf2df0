import { afterEach, expect, test } from 'vitest';
import { type Heard, TestClient } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';

const TTL_MS = 3000;
const ENV = { PRESENCE_TTL_SECONDS: '3', HEARTBEAT_INTERVAL_SECONDS: '1', HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1' };
let rollcall: Deployment | undefined;
const clients: TestClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.leave();
  await rollcall?.stop();
  rollcall = undefined;
});

const active = (change: Heard) => change.status === 'active';
const inactive = (change: Heard) => change.status === 'inactive';

async function connect(url: string, userId: string, auth: Record<string, unknown> = {}): Promise<TestClient> {
  const client = await TestClient.connect(url, userId, auth);
  clients.push(client);
  return client;
}

/** Beats on until stopped. */
function keepAlive(client: TestClient): () => void {
  const timer = setInterval(() => void client.beat().catch(() => {}), 700);
  return () => clearInterval(timer);
}

function strictlyGrowing(changes: Heard[]): boolean {
  return changes.every((change, n) => n === 0 || change.version > (changes[n - 1]?.version ?? 0));
}

test('when a web dies its users go inactive in time, and nobody else does', async () => {
  rollcall = await Deployment.start('web dies', { webs: 2, env: ENV });
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch: ['lost', 'kept'] });
  const lost = await connect(rollcall.web(0).url, 'lost');
  const kept = await connect(rollcall.web(1).url, 'kept');
  const stop = keepAlive(kept);
  // The web takes the beat somewhere between the two.
  const beginsAt = performance.now();
  await lost.beat();
  const beatAt = performance.now();
  rollcall.web(0).kill('SIGKILL');
  const gone = await watcher.hears('lost', inactive, { withinMs: TTL_MS + 2500 });
  expect(gone.heardAt - beginsAt).toBeGreaterThanOrEqual(TTL_MS - 50);
  expect(gone.heardAt - beatAt).toBeLessThanOrEqual(TTL_MS + 2000);
  expect(watcher.of('kept').map((change) => change.status)).toEqual(['active']);
  stop();
});

test('a worker killed in the middle of 500 transitions loses none: after another starts all are in PostgreSQL and told, in order', async () => {
  rollcall = await Deployment.start('worker dies', { webs: 2, env: { ...ENV, PRESENCE_TTL_SECONDS: '20' } });
  const { db } = rollcall;
  const ids = Array.from({ length: 250 }, (_, n) => `crowd-${n}`);
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch: ids });
  const crowd: TestClient[] = [];
  for (let n = 0; n < ids.length; n += 50) {
    const url = rollcall.web(0).url;
    crowd.push(...(await Promise.all(ids.slice(n, n + 50).map((userId) => TestClient.connect(url, userId)))));
  }
  // The comings are still being drained when the goings begin, and half of these are only just said when the worker dies.
  const half = crowd.length / 2;
  for (const client of crowd.slice(0, half)) client.leave();
  await watcher.until(() => watcher.heard.find(inactive), 'the first goodbye', 10_000);
  for (const client of crowd.slice(half)) client.leave();
  await rollcall.worker(0).end();
  const toldBefore = watcher.heard.length;
  await rollcall.addWorker();
  for (const userId of ids) await watcher.hears(userId, inactive, { withinMs: 15_000 });
  expect(toldBefore).toBeLessThan(2 * ids.length);
  for (const userId of ids) {
    expect(watcher.of(userId).map((change) => change.status)).toEqual(['active', 'inactive']);
    expect(strictlyGrowing(watcher.of(userId))).toBe(true);
  }
  const recorded = await eventually(
    () => db('status_transitions').select('user_id', 'version', 'status').orderBy(['user_id', 'version']),
    (rows) => rows.filter((row) => row.user_id.startsWith('crowd-')).length >= 2 * ids.length,
    15_000,
  );
  const crowdRows = recorded.filter((row) => row.user_id.startsWith('crowd-'));
  expect(crowdRows).toHaveLength(2 * ids.length);
  for (const userId of ids) {
    const rows = crowdRows.filter((row) => row.user_id === userId);
    expect(rows.map((row) => row.status)).toEqual(['active', 'inactive']);
    expect(rows.map((row) => Number(row.version))).toEqual(watcher.of(userId).map((change) => change.version));
  }
});

test('a frozen worker delays nobody for more than two seconds', async () => {
  rollcall = await Deployment.start('worker freezes', { workers: 2, env: ENV });
  const watcher = await connect(rollcall.url, 'watcher', { watch: ['ada', 'bea', 'cyd', 'dee'] });
  rollcall.worker(0).kill('SIGSTOP');
  try {
    for (const userId of ['ada', 'bea', 'cyd', 'dee']) {
      await connect(rollcall.url, userId);
      const from = performance.now();
      const heard = await watcher.hears(userId, active, { withinMs: 3000 });
      expect(heard.heardAt - from).toBeLessThan(2000);
    }
  } finally {
    rollcall.worker(0).kill('SIGCONT');
  }
});

test('while no worker runs heartbeats go on, and when one starts the silent go inactive within two seconds', async () => {
  rollcall = await Deployment.start('no worker', { env: ENV });
  const watcher = await connect(rollcall.url, 'watcher', { watch: ['silent', 'beating'] });
  await connect(rollcall.url, 'silent');
  const beating = await connect(rollcall.url, 'beating');
  await watcher.hears('silent', active);
  await watcher.hears('beating', active);
  const stop = keepAlive(beating);
  await rollcall.worker(0).end();
  const { redis } = rollcall;
  const key = rollcall.key('user:status:silent');
  await eventually(
    () => redis.get(key),
    (value) => value === null,
    TTL_MS + 1000,
  );
  const from = performance.now();
  await rollcall.addWorker();
  const started = performance.now();
  const gone = await watcher.hears('silent', inactive, { withinMs: 5000 });
  expect(gone.heardAt - started).toBeLessThan(2000);
  expect(started).toBeGreaterThan(from);
  expect(watcher.of('beating').map((change) => change.status)).toEqual(['active']);
  stop();
});
