import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isInactive, Refused, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';

/** Far from the shortest TTL of a session's own, in both directions. */
const TTL_MS = 8000;
const SHORT_MS = 3000;
let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('session-ttl', {
    env: {
      PRESENCE_TTL_SECONDS: `${TTL_MS / 1000}`,
      HEARTBEAT_INTERVAL_SECONDS: '2',
      HEARTBEAT_MIN_INTERVAL_SECONDS: '1',
      HANDOVER_SECONDS: '8',
    },
  });
});
afterAll(() => rollcall?.stop());

const connect = (userId: string, auth: Record<string, unknown> = {}) => TestClient.connect(rollcall.url, userId, auth);

/** How long (ms) `user:status` is to stay. */
const statusStays = (userId: string) => rollcall.redis.pttl(rollcall.key(`user:status:${userId}`));

describe.concurrent('a session with a TTL of its own', () => {
  test('is told its own times, and so is every heartbeat of it', async () => {
    const short = await connect('short', { ttlSeconds: 3 });
    expect(short.ready).toMatchObject({ ttlMs: SHORT_MS, heartbeatIntervalMs: 1500 });
    const [first, tooSoon] = await Promise.all([short.beat(), short.beat()]);
    expect(first).toMatchObject({ ok: true, nextInMs: 1500 });
    // Half of the interval at most, though a second is configured.
    expect(tooSoon).toMatchObject({ ok: false, error: { code: 'HEARTBEAT_TOO_SOON' } });
    expect(tooSoon.ok || tooSoon.error.retryAfterMs).toBeLessThanOrEqual(750);
    const long = await connect('long', { ttlSeconds: 599.5 });
    expect(long.ready).toMatchObject({ ttlMs: 599_500, heartbeatIntervalMs: 2000 });
    expect(await long.beat()).toMatchObject({ ok: true, nextInMs: 2000 });
    const plain = await connect('plain', { ttlSeconds: null });
    expect(plain.ready).toMatchObject({ ttlMs: TTL_MS, heartbeatIntervalMs: 2000 });
    for (const client of [short, long, plain]) client.leave();
  });

  test('of less than 3 s, more than 600 s or no number is refused', async () => {
    for (const ttlSeconds of [2.99, 600.01, 0, -3, '60', true]) {
      const refused = await connect('refused', { ttlSeconds }).catch((error) => error);
      expect(refused).toBeInstanceOf(Refused);
      expect(refused.code).toBe('INVALID_REQUEST');
    }
  });

  test('of less than two pings lives for two pings where pongs are its heartbeats, and stays by them', async () => {
    const ponger = await connect('ponger', { ttlSeconds: 3, heartbeat: 'pong' });
    expect(ponger.ready).toMatchObject({ ttlMs: 4000, heartbeatIntervalMs: 2000 });
    const longer = await connect('longer', { ttlSeconds: 30, heartbeat: 'pong' });
    expect(longer.ready).toMatchObject({ ttlMs: 30_000, heartbeatIntervalMs: 2000 });
    const watcher = await connect('pong-watcher', { watch: ['ponger'], heartbeat: 'pong' });
    const heardAgain = async () => {
      const { body } = await rest(rollcall.url, 'GET', '/users/ponger/sessions', { token: await tokenFor('ponger') });
      return Date.parse(body.sessions[0].lastHeartbeat);
    };
    const first = await heardAgain();
    // Longer than it would live without.
    await eventually(heardAgain, (at) => at - first > 4000, 10_000);
    expect(watcher.statuses('ponger')).toEqual([]);
    for (const client of [ponger, longer, watcher]) client.leave();
  });

  test('is over by that, sooner or later than others, whatever its web or job believes', async () => {
    const watcher = await connect('ttl-watcher', { watch: ['brief', 'lasting'], heartbeat: 'pong' });
    const lasting = await connect('lasting', { ttlSeconds: 60 });
    const from = performance.now();
    const brief = await connect('brief', { ttlSeconds: 3 });
    const letIn = performance.now();
    const gone = await watcher.hears('brief', isInactive, { withinMs: SHORT_MS + 2500 });
    expect(gone.heardAt - from).toBeGreaterThan(SHORT_MS - 50);
    expect(gone.heardAt - letIn).toBeLessThan(SHORT_MS + 2000);
    expect(await statusStays('lasting')).toBeGreaterThan(TTL_MS * 2);
    for (const client of [watcher, brief, lasting]) client.leave();
  });

  test('is not cut short by a heartbeat of another device, nor does it cut that one short', async () => {
    const long = await connect('mixed', { ttlSeconds: 60 });
    const plain = await connect('mixed');
    const brief = await connect('mixed', { ttlSeconds: 3 });
    await plain.beat();
    await brief.beat();
    expect(await statusStays('mixed')).toBeGreaterThan(TTL_MS * 2);
    long.leave();
    await eventually(
      () => statusStays('mixed'),
      (ms) => ms <= TTL_MS && ms > SHORT_MS,
    );
    await new Promise((resolve) => setTimeout(resolve, 800));
    const [from, stays] = [performance.now(), await statusStays('mixed')];
    await brief.beat();
    const [left, tookMs] = [await statusStays('mixed'), performance.now() - from];
    expect(left).toBeGreaterThanOrEqual(Math.max(stays - tookMs - 50, 0));
    for (const client of [plain, brief]) client.leave();
  });

  test('begins anew with each of its heartbeats, as long as the first time', async () => {
    const only = await connect('only', { ttlSeconds: 60 });
    await rollcall.redis.pexpire(rollcall.key('user:status:only'), 5000);
    await only.beat();
    expect(await statusStays('only')).toBeGreaterThan(55_000);
    const why = await rest(rollcall.url, 'GET', '/users/only/status?include=why', { token: await tokenFor('only') });
    expect(Date.parse(why.body.why.nextChangeAt) - Date.now()).toBeGreaterThan(55_000);
    only.leave();
  });

  test('is handed over for as long as any other', async () => {
    const web = await rollcall.addWeb();
    const moved = await TestClient.connect(web.url, 'moved', { ttlSeconds: 3, deviceId: 'phone' });
    const watcher = await connect('drain-watcher', { watch: ['moved'], heartbeat: 'pong' });
    web.kill('SIGTERM');
    await moved.isClosed();
    expect(await statusStays('moved')).toBeGreaterThan(SHORT_MS + 1000);
    // Who goes on with a session chooses nothing anew.
    const back = await connect('moved', { ttlSeconds: 3, deviceId: 'phone', appear: 'inactive' });
    expect(back.sessionId).toBe(moved.sessionId);
    const stays = await statusStays('moved');
    expect(stays).toBeLessThanOrEqual(SHORT_MS);
    expect(stays).toBeGreaterThan(0);
    expect(watcher.statuses('moved')).toEqual([]);
    for (const client of [back, watcher]) client.leave();
  });

  test('has the grace of any other once it is closed, and a lease that is ended has none', async () => {
    const graceMs = 6000;
    const web = await rollcall.addWeb({ DISCONNECT_GRACE_SECONDS: String(graceMs / 1000) });
    for (const [userId, ttlSeconds] of [['graced-short', 3] as const, ['graced-long', 600] as const]) {
      const client = await TestClient.connect(web.url, userId, { ttlSeconds });
      const before = await statusStays(userId);
      client.leave();
      const left = await eventually(
        () => statusStays(userId),
        (ms) => (ttlSeconds === 3 ? ms > before : ms < before - graceMs),
      );
      expect(left, userId).toBeGreaterThan(SHORT_MS);
      expect(left, userId).toBeLessThanOrEqual(graceMs);
    }
    const token = await tokenFor('leaseholder');
    const lease = '/users/leaseholder/leases/job';
    expect((await rest(web.url, 'PUT', lease, { token, body: { ttlSeconds: 600 } })).status).toBe(200);
    expect((await rest(web.url, 'DELETE', lease, { token })).status).toBe(204);
    expect(await rollcall.redis.exists(rollcall.key('user:status:leaseholder'))).toBe(0);
  });
});

test('comes back with its own TTL after a loss of Redis', async () => {
  const long = await connect('restored', { ttlSeconds: 60 });
  await rollcall.redis.del(rollcall.key('user:sessions:restored'), rollcall.key('user:status:restored'));
  expect(await long.beat()).toMatchObject({ ok: true });
  await eventually(
    () => statusStays('restored'),
    (ms) => ms > 50_000,
  );
  long.leave();
  expect(rollcall.faults).toEqual([]);
});
