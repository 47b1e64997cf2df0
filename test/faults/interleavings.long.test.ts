import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { RedisClock } from '../../src/redis/clock.ts';
import { connectRedis, type RedisClient } from '../../src/redis/connect.ts';
import { publish } from '../../src/redis/delivery.ts';
import { createKeys, shardOf } from '../../src/redis/keys.ts';
import { Outbox } from '../../src/redis/outbox.ts';
import { PresenceStore } from '../../src/redis/presence-store.ts';
import { type Heard, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';

// Each of these holds a process still, or stands in for one that died, at the very step at which it hurts.
const TTL_MS = 3000;
let rollcall: Deployment;
/** The stores as a process sees them that does one step and then is no more. */
let redis: RedisClient;
let store: PresenceStore;
let outbox: Outbox;
let clients: TestClient[] = [];

beforeAll(async () => {
  rollcall = await Deployment.start('interleavings', {
    webs: 2,
    env: { PRESENCE_TTL_SECONDS: '3', HEARTBEAT_INTERVAL_SECONDS: '1', HEARTBEAT_MIN_INTERVAL_SECONDS: '0.05' },
  });
  const settings = { urls: [rollcall.env.REDIS_URL ?? ''], cluster: false, tlsRejectUnauthorized: true };
  redis = connectRedis(settings, 'blocking');
  const keys = createKeys(rollcall.prefix, false);
  store = new PresenceStore(redis, keys, new RedisClock(), TTL_MS);
  outbox = new Outbox(redis, keys);
});
afterAll(async () => {
  redis?.disconnect();
  await rollcall?.stop();
});
beforeEach(() => {
  clients = [];
});
afterEach(() => {
  for (const client of clients) client.leave();
  rollcall.worker(0).kill('SIGCONT');
});

const active = (change: Heard) => change.status === 'active';
const inactive = (change: Heard) => change.status === 'inactive';
const statuses = (changes: Heard[]) => changes.map((change) => change.status);

async function connect(web: number, userId: string, auth: Record<string, unknown> = {}): Promise<TestClient> {
  const client = await TestClient.connect(rollcall.web(web).url, userId, auth);
  clients.push(client);
  return client;
}

const request = (userId: string, sessionId: string, conn: string) => ({
  userId,
  sessionId,
  conn,
  kind: 'other' as const,
  name: '',
  state: 'active' as const,
  beatAgeMs: 0,
  connectedAgeMs: 0,
  maxSessions: 20,
  mode: 'connect' as const,
  claims: null,
});

test('a heartbeat that comes after a logout on another web does not bring the user back, and its socket is closed', async () => {
  const watcher = await connect(0, 'watcher', { watch: ['ada', 'marker'] });
  const ada = await connect(0, 'ada');
  await watcher.hears('ada', active);
  // With the worker still, web 0 does not hear that it has to close the socket.
  rollcall.worker(0).kill('SIGSTOP');
  const out = await rest(rollcall.web(1).url, 'POST', '/users/logout', { token: await tokenFor('ada'), body: {} });
  expect(out.status).toBe(204);
  void ada.beat().catch(() => {});
  expect(await ada.isClosed()).toMatchObject({ reason: 'logout', reconnect: false });
  expect(await rollcall.redis.exists(rollcall.key('user:status:ada'))).toBe(0);
  rollcall.worker(0).kill('SIGCONT');
  await watcher.hears('ada', inactive);
  await connect(1, 'marker');
  await watcher.hears('marker', active);
  expect(statuses(watcher.of('ada'))).toEqual(['active', 'inactive']);
});

test('a reload while the goodbye is not settled yet is told as leaving and coming, and ends active', async () => {
  const watcher = await connect(0, 'watcher', { watch: ['bob'] });
  const before = await connect(0, 'bob');
  await watcher.hears('bob', active);
  rollcall.worker(0).kill('SIGSTOP');
  before.leave();
  const key = rollcall.key('user:status:bob');
  await eventually(
    () => rollcall.redis.exists(key),
    (exists) => exists === 0,
  );
  await connect(1, 'bob');
  rollcall.worker(0).kill('SIGCONT');
  await watcher.hears('bob', active, { after: 2 });
  expect(statuses(watcher.of('bob'))).toEqual(['active', 'inactive', 'active']);
  expect(await rollcall.redis.get(key)).toBe('active');
});

test('a watcher who comes after a deadline and before its expiry is shown the truth, and told nothing that contradicts it', async () => {
  const early = await connect(0, 'early', { watch: ['cleo'] });
  await connect(0, 'cleo');
  await early.hears('cleo', active);
  rollcall.worker(0).kill('SIGSTOP');
  const key = rollcall.key('user:status:cleo');
  await eventually(
    () => rollcall.redis.exists(key),
    (exists) => exists === 0,
    TTL_MS + 1000,
  );
  const late = await connect(1, 'late', { watch: ['cleo', 'marker'] });
  const shown = late.ready?.users?.find((user) => user.userId === 'cleo');
  expect(shown).toMatchObject({ status: 'inactive' });
  rollcall.worker(0).kill('SIGCONT');
  const told = await early.hears('cleo', inactive);
  expect(told.version).toBe(shown?.version);
  await connect(0, 'marker');
  await late.hears('marker', active);
  expect(late.of('cleo').filter((change) => change.version < (shown?.version ?? 0))).toEqual([]);
});

test('a worker that dies after telling and before acknowledging tells nobody anything twice in the wrong order', async () => {
  const watcher = await connect(0, 'watcher', { watch: ['dan'] });
  rollcall.worker(0).kill('SIGSTOP');
  for (let n = 0; n < 3; n++) {
    await store.open(request('dan', 'a-dan', `conn-${n}`), n === 0 ? 'new' : null);
    await store.close({ userId: 'dan', sessionId: 'a-dan', conn: `conn-${n}` }, 0, 0);
  }
  await store.open(request('dan', 'a-dan', 'conn-9'), null);
  // A worker takes the entries, publishes them, and dies. The one that stands still may have been in the middle of a drain.
  const shard = shardOf('dan');
  const taken = await eventually(
    async () => (await outbox.take('deliver', new Map([[shard, []]]), { token: 'dead', count: 100 })).get(shard),
    (step) => step?.state !== 'busy',
    3000,
  );
  if (taken?.state !== 'entries') throw new Error(`The outbox is ${taken?.state}`);
  const items = taken.entries.flatMap((entry) =>
    entry.kind === 'change' ? [{ id: entry.id, kind: 'change' as const, change: entry.change }] : [],
  );
  await publish(redis, createKeys(rollcall.prefix, false), { shard, items });
  await watcher.hears('dan', active, { after: 6 });
  const first = watcher.of('dan').length;
  rollcall.worker(0).kill('SIGCONT');
  // The living worker begins with what the dead one left, and goes on: nothing of it comes again.
  await watcher.hears('dan', inactive, { after: first, withinMs: TTL_MS + 4000 });
  const versions = watcher.of('dan').map((change) => change.version);
  expect(versions).toEqual([...versions].sort((a, b) => a - b));
  expect(statuses(watcher.of('dan'))).toEqual([
    ...['active', 'inactive', 'active', 'inactive', 'active', 'inactive', 'active', 'inactive'],
  ]);
  const rows = await eventually(
    () => rollcall.db('status_transitions').where({ user_id: 'dan' }).orderBy('version'),
    (found) => found.length >= 8,
  );
  expect(rows.map((row) => Number(row.version))).toEqual(versions);
});

test('a web that dies between the script and the queue delays nobody for more than two seconds', async () => {
  const watcher = await connect(0, 'watcher', { watch: ['eve'] });
  const from = performance.now();
  await store.open(request('eve', 'a-eve', 'dead.1'), 'new');
  const came = await watcher.hears('eve', active);
  expect(came.heardAt - from).toBeLessThan(2000);
  const gone = await watcher.hears('eve', inactive, { withinMs: TTL_MS + 3000 });
  expect(gone.heardAt - from).toBeGreaterThanOrEqual(TTL_MS - 50);
  expect(gone.heardAt - from).toBeLessThan(TTL_MS + 2000);
});

test('a web that dies between a goodbye and its job leaves no ghost', async () => {
  const watcher = await connect(0, 'watcher', { watch: ['finn'] });
  await store.open(request('finn', 'a-finn', 'dead.2'), 'new');
  await watcher.hears('finn', active);
  const from = performance.now();
  await store.close({ userId: 'finn', sessionId: 'a-finn', conn: 'dead.2' }, 0, 0);
  const gone = await watcher.hears('finn', inactive);
  expect(gone.heardAt - from).toBeLessThan(2000);
});

test('a late goodbye of an old connection ends nothing that is newer', async () => {
  const watcher = await connect(0, 'watcher', { watch: ['gus', 'marker'] });
  await store.open(request('gus', 'd-gus', 'old.1'), 'new');
  await store.open(request('gus', 'd-gus', 'new.1'), null);
  await watcher.hears('gus', active);
  expect(await store.close({ userId: 'gus', sessionId: 'd-gus', conn: 'old.1' }, 0, 0)).toMatchObject({ late: true });
  await connect(1, 'marker');
  await watcher.hears('marker', active);
  expect(statuses(watcher.of('gus'))).toEqual(['active']);
  expect(await rollcall.redis.get(rollcall.key('user:status:gus'))).toBe('active');
});

test('with all timeout jobs deleted everybody still goes inactive in time', async () => {
  const watcher = await connect(0, 'watcher', { watch: ['hal'] });
  const hal = await connect(0, 'hal');
  await watcher.hears('hal', active);
  await hal.beat();
  const from = performance.now();
  const delayed = await eventually(
    () => rollcall.redis.zrange(rollcall.key('bull:timeouts:delayed'), '0', '-1'),
    (ids) => ids.some((id) => id.startsWith('check-hal-')),
  );
  await rollcall.redis.del(
    rollcall.key('bull:timeouts:delayed'),
    ...delayed.map((id) => rollcall.key(`bull:timeouts:${id}`)),
  );
  const gone = await watcher.hears('hal', inactive, { withinMs: TTL_MS + 3000 });
  expect(gone.heardAt - from).toBeLessThan(TTL_MS + 2000);
});

test('a web that fell behind what the delivery stream keeps tells its watchers by itself what they missed', async () => {
  const watcher = await connect(1, 'watcher', { watch: ['jon', 'marker'] });
  const jon = await connect(0, 'jon');
  await watcher.hears('jon', active);
  const stream = rollcall.key('presence:{delivery}');
  const [newest] = await rollcall.redis.xrevrange(stream, '+', '-', 'COUNT', 1);
  rollcall.web(1).kill('SIGSTOP');
  jon.leave();
  await eventually(
    () => rollcall.redis.xrange(stream, `(${newest?.[0]}`, '+'),
    (entries) => entries.some(([, fields]) => fields.join().includes('"status":"inactive"')),
  );
  await rollcall.redis.xtrim(stream, 'MAXLEN', 0);
  rollcall.web(1).kill('SIGCONT');
  await connect(0, 'marker');
  await watcher.hears('marker', active);
  await watcher.hears('jon', inactive);
});
