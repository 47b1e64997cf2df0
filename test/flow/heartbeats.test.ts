import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually, type WebProgram } from '../support/deployment.ts';

const TTL_MS = 3000;
let rollcall: Deployment;
/** Where a heartbeat counts only once in a while. */
let slow: WebProgram;

beforeAll(async () => {
  rollcall = await Deployment.start('heartbeats', { env: BRISK });
  slow = await rollcall.addWeb({ HEARTBEAT_MIN_INTERVAL_SECONDS: '0.9' });
});
afterAll(() => rollcall?.stop());

async function look(userId: string) {
  const token = await tokenFor(userId);
  const [status, sessions] = await Promise.all([
    rest(rollcall.url, 'GET', `/users/${userId}/status?include=devices`, { token }),
    rest(rollcall.url, 'GET', `/users/${userId}/sessions`, { token }),
  ]);
  return { devices: status.body.devices, sessions: sessions.body.sessions };
}

describe.concurrent('heartbeats', () => {
  test('one that comes too soon is told when the next one counts; connecting does not count as one', async () => {
    const ada = await TestClient.connect(slow.url, 'ada');
    const first = await ada.beat();
    expect(first).toEqual({ ok: true, serverTime: expect.any(String), nextInMs: 1000 });
    const second = await ada.beat();
    expect(second).toEqual({
      ok: false,
      error: { code: 'HEARTBEAT_TOO_SOON', message: expect.any(String), retryAfterMs: expect.any(Number) },
    });
    const retryAfterMs = second.ok ? 0 : (second.error.retryAfterMs ?? 0);
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(900);
    await new Promise((resolve) => setTimeout(resolve, retryAfterMs));
    expect(await ada.beat()).toMatchObject({ ok: true });
    ada.leave();
  });

  test('fifty ignored ones within ten seconds are borne, the next one closes the socket for a while', async () => {
    const flood = await TestClient.connect(slow.url, 'flood');
    await flood.beat();
    const answers = await Promise.all(Array.from({ length: 50 }, () => flood.beat()));
    const ignored = answers.filter((answer) => !answer.ok).length;
    // On a slow machine one of them may have been far enough from the first to count.
    expect(ignored).toBeGreaterThanOrEqual(48);
    expect(flood.closed).toEqual([]);
    for (let n = ignored; n <= 52; n++) flood.socket.emit('heartbeat', undefined, () => {});
    expect(await flood.isClosed()).toEqual({ reason: 'rate_limited', reconnect: true, afterMs: expect.any(Number) });
    expect(flood.closed[0]?.afterMs).toBeGreaterThan(0);
    expect(await flood.isDisconnected()).toBe('transport close');
  });

  test('a flood without acknowledgements is closed all the same', async () => {
    const flood = await TestClient.connect(slow.url, 'flood-2');
    for (let n = 0; n < 200; n++) flood.socket.emit('heartbeat', { state: 'active' }, undefined as never);
    expect((await flood.isClosed()).reason).toBe('rate_limited');
    expect(flood.closed).toHaveLength(1);
  });

  test('idle is shown among the devices and the sessions, and stays until something else is said', async () => {
    const bob = await TestClient.connect(rollcall.url, 'bob', { device: { kind: 'desktop' } });
    const states = async () => {
      const { devices, sessions } = await look('bob');
      return [devices, sessions.map((session: { state: string }) => session.state)];
    };
    expect(await states()).toEqual([[{ kind: 'desktop', state: 'active' }], ['active']]);
    await bob.beat('idle');
    expect(await states()).toEqual([[{ kind: 'desktop', state: 'idle' }], ['idle']]);
    const waited = await look('bob');
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(await bob.beat()).toMatchObject({ ok: true });
    expect(await states()).toEqual([[{ kind: 'desktop', state: 'idle' }], ['idle']]);
    const [after] = (await look('bob')).sessions;
    expect(Date.parse(after.lastHeartbeat)).toBeGreaterThan(Date.parse(waited.sessions[0].lastHeartbeat));
    await new Promise((resolve) => setTimeout(resolve, 150));
    await bob.beat('active');
    expect(await states()).toEqual([[{ kind: 'desktop', state: 'active' }], ['active']]);
    bob.leave();
  });

  test('whoever answers the pings stays active without a heartbeat of their own, and goes when they fall silent', async () => {
    const watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['ponger', 'mute'], heartbeat: 'pong' });
    const ponger = await TestClient.connect(rollcall.url, 'ponger', { heartbeat: 'pong' });
    const mute = await TestClient.connect(rollcall.url, 'mute');
    // By then the one who never beats has been silent for a TTL; its pongs do not count.
    await watcher.hears('mute', isInactive, { withinMs: TTL_MS + 2500 });
    await ponger.beat('idle');
    const silentFrom = performance.now();
    const again = await TestClient.connect(rollcall.url, 'mute');
    await watcher.hears('mute', isInactive, { after: 3, withinMs: TTL_MS + 2500 });
    expect(performance.now() - silentFrom).toBeGreaterThan(TTL_MS - 100);
    // The second one says that they are idle.
    expect(watcher.statuses('ponger')).toEqual(['active', 'active']);
    expect((await look('ponger')).devices).toEqual([{ kind: 'other', state: 'idle' }]);
    ponger.fallSilent();
    const gone = await watcher.hears('ponger', isInactive, { withinMs: TTL_MS + 3500 });
    expect(gone.status).toBe('inactive');
    for (const client of [watcher, ponger, mute, again]) client.leave();
  });
});

test('expiry waits for a process that still has to tell Redis of somebody whom it lost', async () => {
  const zoe = await TestClient.connect(rollcall.url, 'zoe');
  await eventually(
    () => rollcall.db('users').where({ id: 'zoe' }).first(),
    (row) => row?.status === 'active',
  );
  const hold = () => rollcall.redis.exists(rollcall.key('presence:hold'));
  // What PostgreSQL has of zoe is asked for, and its answer is late.
  const late = await rollcall.db.transaction();
  await late.raw('LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
  try {
    await rollcall.redis.del(rollcall.key('user:sessions:zoe'));
    await zoe.beat();
    await eventually(hold, (held) => held === 1);
  } finally {
    await late.rollback();
  }
  await eventually(hold, (held) => held === 0);
  expect(await rollcall.redis.exists(rollcall.key('user:sessions:zoe'))).toBe(1);
  zoe.leave();
});
