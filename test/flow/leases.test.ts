import { Queue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';

const MAX_SESSIONS = 3;
let rollcall: Deployment;
let service: string;
let watcher: TestClient;

beforeAll(async () => {
  rollcall = await Deployment.start('leases', {
    webs: 2,
    env: { HEARTBEAT_MIN_INTERVAL_SECONDS: '0', MAX_SESSIONS_PER_USER: `${MAX_SESSIONS}`, HANDOVER_SECONDS: '20' },
  });
  service = await tokenFor('backend', { scope: 'presence:write' });
  watcher = await TestClient.connect(rollcall.web(1).url, 'watcher');
});
afterAll(() => rollcall?.stop());

const call = (method: string, path: string, body?: unknown, token: string = service) =>
  rest(rollcall.url, method, path, { token, body });
const put = (userId: string, name: string, body: object = {}, token?: string) =>
  call('PUT', `/users/${userId}/leases/${name}`, { ttlSeconds: 60, ...body }, token);
const renew = (...leases: { userId: string; name: string }[]) => call('POST', '/leases/renew', { leases });
const end = (userId: string, name: string, token?: string) =>
  call('DELETE', `/users/${userId}/leases/${name}`, undefined, token);
const look = async (userId: string) => (await call('GET', `/users/${userId}/status?include=devices,why`)).body;
const sessionsOf = async (userId: string) => (await call('GET', `/users/${userId}/sessions`)).body.sessions;
const causesOf = async (userId: string) => {
  const { body } = await call('GET', `/users/${userId}/history`);
  return body.transitions?.map(({ status, cause }: { status: string; cause: string }) => `${status}: ${cause}`);
};

describe.concurrent('a lease', () => {
  test('makes its user active, shows among devices, sessions and in why, and ends at once where it is deleted', async () => {
    const { status, body } = await put('agent', 'worker-1', { kind: 'agent' });
    expect({ status, body }).toEqual({
      status: 200,
      body: { sessionId: expect.stringMatching(/^l[\w-]{21}$/), expiresAt: expect.any(String) },
    });
    expect(Math.abs(Date.parse(body.expiresAt) - Date.now() - 60_000)).toBeLessThan(10_000);
    await watcher.hears('agent', isActive);
    expect(await look('agent')).toMatchObject({
      status: 'active',
      devices: [{ kind: 'agent', state: 'active' }],
      why: { rule: 'heartbeat', sessionId: body.sessionId, nextChangeAt: body.expiresAt },
    });
    expect(await sessionsOf('agent')).toEqual([
      expect.objectContaining({
        sessionId: body.sessionId,
        device: { kind: 'agent', name: 'worker-1' },
        state: 'active',
      }),
    ]);
    const from = Date.now();
    expect((await end('agent', 'worker-1')).status).toBe(204);
    const gone = await watcher.hears('agent', isInactive);
    expect(Date.parse(gone.lastSeen ?? '')).toBeGreaterThanOrEqual(from - 1000);
    expect((await look('agent')).why).toMatchObject({ rule: 'disconnect', sessionId: body.sessionId });
    await eventually(
      () => causesOf('agent'),
      (causes) => causes?.length === 2,
    );
    expect(await causesOf('agent')).toEqual(['inactive: disconnect', 'active: connect']);
    expect((await end('agent', 'worker-1')).status).toBe(204);
    expect((await end('nobody-at-all', 'worker-1')).status).toBe(204);
  });

  test('lapses where nobody renews it, for the cause of a timeout, last seen when it was put', async () => {
    const from = Date.now();
    await put('brief', 'worker', { ttlSeconds: 3 });
    const putBy = Date.now();
    const gone = await watcher.hears('brief', isInactive, { withinMs: 6500 });
    expect(Date.parse(gone.lastSeen ?? '')).toBeGreaterThanOrEqual(from - 1000);
    expect(Date.parse(gone.lastSeen ?? '')).toBeLessThanOrEqual(putBy + 1000);
    expect((await look('brief')).why).toMatchObject({ rule: 'timeout' });
    expect((await renew({ userId: 'brief', name: 'worker' })).body).toEqual({
      renewed: 0,
      missing: [{ userId: 'brief', name: 'worker' }],
    });
    expect((await look('brief')).status).toBe('inactive');
  });

  test('keeps on renewal what is left out; at first it is of another kind, and active', async () => {
    await put('keeper', 'a');
    expect((await look('keeper')).devices).toEqual([{ kind: 'other', state: 'active' }]);
    await put('keeper', 'a', { kind: 'bot', state: 'idle' });
    const idle = await watcher.hears('keeper', ({ detail }) => detail?.idle === true);
    expect(idle.status).toBe('active');
    const [before] = await sessionsOf('keeper');
    await put('keeper', 'a', { ttlSeconds: 3600, kind: null });
    const [after] = await sessionsOf('keeper');
    expect(after).toMatchObject({ device: { kind: 'bot' }, state: 'idle', connectedAt: before.connectedAt });
    expect(Date.parse(after.lastHeartbeat)).toBeGreaterThan(Date.parse(before.lastHeartbeat));
    const stays = await rollcall.redis.pttl(rollcall.key('user:status:keeper'));
    expect(stays).toBeGreaterThan(3_500_000);
    // Renewed by the thousand it keeps its TTL too.
    expect((await renew({ userId: 'keeper', name: 'a' })).body).toEqual({ renewed: 1, missing: [] });
    expect(await rollcall.redis.pttl(rollcall.key('user:status:keeper'))).toBeGreaterThan(3_500_000);
    expect(watcher.statuses('keeper')).not.toContain('inactive');
  });

  test('that is put with a shorter TTL than before lapses by that', async () => {
    await put('shorter', 'a', { ttlSeconds: 3600 });
    await put('shorter', 'a', { ttlSeconds: 3 });
    const from = performance.now();
    const gone = await watcher.hears('shorter', isInactive, { withinMs: 6500 });
    expect(gone.heardAt - from).toBeLessThan(5500);
  });

  test('is renewed with a thousand others, and the missing ones are named', async () => {
    const crowd = Array.from({ length: 999 }, (_, n) => ({ userId: `crowd-${n}`, name: 'w' }));
    const here = crowd.slice(0, 20);
    for (const { userId, name } of here) await put(userId, name);
    const { status, body } = await renew(...crowd, { userId: 'crowd-0', name: 'other' });
    expect(status).toBe(200);
    expect(body.renewed).toBe(20);
    expect(body.missing).toEqual([...crowd.slice(20), { userId: 'crowd-0', name: 'other' }]);
    expect((await renew()).body).toEqual({ renewed: 0, missing: [] });
  });

  test('is for the user and for services that write, renewing many for these alone', async () => {
    const own = await tokenFor('own');
    expect((await put('own', 'mine', {}, own)).status).toBe(200);
    expect((await put('other', 'mine', {}, own)).body.code).toBe('FORBIDDEN');
    expect((await end('other', 'mine', own)).body.code).toBe('FORBIDDEN');
    const reader = await tokenFor('reader', { scope: 'presence:read' });
    expect((await put('own', 'mine', {}, reader)).body.code).toBe('FORBIDDEN');
    for (const token of [own, reader]) {
      expect((await call('POST', '/leases/renew', { leases: [] }, token)).body.code).toBe('FORBIDDEN');
    }
    expect((await end('own', 'mine', own)).status).toBe(204);
  });

  test('with anything that is not as it should be is refused', async () => {
    for (const ttlSeconds of [2.9, 3600.1, '60', null, undefined]) {
      expect((await put('bad', 'a', { ttlSeconds })).body).toMatchObject({ statusCode: 400, code: 'INVALID_REQUEST' });
    }
    for (const body of [{ kind: 'toaster' }, { state: 'away' }, { nosuch: 1 }]) {
      expect((await put('bad', 'a', body)).body.code).toBe('INVALID_REQUEST');
    }
    for (const name of ['x'.repeat(65), 'a%20b', 'ü']) {
      expect((await put('bad', name)).body.code).toBe('INVALID_REQUEST');
      expect((await end('bad', name)).body.code).toBe('INVALID_REQUEST');
    }
    expect((await put('a%20b', 'a')).body.code).toBe('INVALID_USER_ID');
    expect((await renew({ userId: 'a b', name: 'a' })).body.code).toBe('INVALID_USER_ID');
    expect((await renew({ userId: 'bad', name: 'x'.repeat(65) })).body.code).toBe('INVALID_REQUEST');
    const many = Array.from({ length: 1001 }, (_, n) => ({ userId: `u${n}`, name: 'a' }));
    expect((await renew(...many)).body.code).toBe('INVALID_REQUEST');
    expect((await put('good', 'x'.repeat(64), { ttlSeconds: 3.5 })).status).toBe(200);
  });

  test('counts for the sessions that a user may have, beside sockets', async () => {
    const device = await TestClient.connect(rollcall.url, 'full', { deviceId: 'one' });
    await put('full', 'a');
    await put('full', 'b');
    expect((await put('full', 'c')).body).toMatchObject({ statusCode: 409, code: 'TOO_MANY_SESSIONS' });
    // Renewing one that is there needs no further place.
    expect((await put('full', 'b')).status).toBe(200);
    const refused = await TestClient.connect(rollcall.url, 'full').catch((error) => error);
    expect(refused.code).toBe('TOO_MANY_SESSIONS');
    await end('full', 'a');
    expect((await put('full', 'c')).status).toBe(200);
    device.leave();
  });

  test('ends with a logout and with the removal of its session; put makes it anew, renewing does not', async () => {
    const { sessionId } = (await put('signed-out', 'a')).body;
    await put('signed-out', 'b');
    expect((await call('DELETE', `/users/signed-out/sessions/${sessionId}`)).status).toBe(204);
    expect((await sessionsOf('signed-out')).map(({ device }: { device: { name: string } }) => device.name)).toEqual([
      'b',
    ]);
    await call('POST', '/users/logout', { userId: 'signed-out' });
    await watcher.hears('signed-out', isInactive);
    const both = [
      { userId: 'signed-out', name: 'a' },
      { userId: 'signed-out', name: 'b' },
    ];
    expect((await renew(...both)).body).toEqual({ renewed: 0, missing: both });
    expect((await look('signed-out')).status).toBe('inactive');
    expect((await put('signed-out', 'a')).body.sessionId).toBe(sessionId);
    expect((await look('signed-out')).status).toBe('active');
    expect((await renew(...both)).body).toEqual({ renewed: 1, missing: both.slice(1) });
    expect((await call('DELETE', '/users/signed-out')).status).toBe(204);
    expect((await renew(...both)).body).toEqual({ renewed: 0, missing: both });
  });

  test('stays beside a socket, whose user is active until both are gone, and ends nothing quietly', async () => {
    const posted = await call('POST', '/users/status', { status: 'active', userId: 'beside' });
    expect(posted.body.status).toBe('active');
    await put('beside', 'a');
    const standing = async () =>
      (await sessionsOf('beside')).map((each: { sessionId: string }) => each.sessionId[0]).sort();
    expect(await standing()).toEqual(['l', 'p']);
    const device = await TestClient.connect(rollcall.url, 'beside', { deviceId: 'one' });
    expect(await standing()).toEqual(['d', 'l']);
    device.leave();
    await eventually(standing, (all) => all.length === 1);
    expect((await look('beside')).status).toBe('active');
    await end('beside', 'a');
    await watcher.hears('beside', isInactive);
    expect(watcher.statuses('beside')).toEqual(['active', 'inactive']);
  });

  test('is not what posting active renews: that makes a session of its own', async () => {
    await put('poster', 'a', { ttlSeconds: 3600 });
    const [before] = await sessionsOf('poster');
    await call('POST', '/users/status', { status: 'active', userId: 'poster' });
    const after = await sessionsOf('poster');
    expect(after).toHaveLength(2);
    expect(after).toContainEqual(before);
    expect(after.map(({ sessionId }: { sessionId: string }) => sessionId)).toContain('posted');
  });

  test('shows nobody who appears inactive, and comes out with them', async () => {
    await put('hidden', 'a');
    await call('POST', '/users/status', { status: 'inactive', userId: 'hidden' });
    expect((await renew({ userId: 'hidden', name: 'a' })).body.renewed).toBe(1);
    await put('hidden', 'a');
    expect(await look('hidden')).toMatchObject({ status: 'inactive', devices: [] });
    await call('POST', '/users/status', { status: 'active', userId: 'hidden' });
    expect((await look('hidden')).status).toBe('active');
  });
});

test('who is or was here by a lease alone has the last seen that PostgreSQL knows, where Redis came back with an older one', async () => {
  const { redis } = rollcall;
  const row = (userId: string) => rollcall.db('users').where({ id: userId });
  const isStored = (userId: string, status: string) =>
    eventually(
      () => row(userId).first(),
      (found) => found?.status === status,
    );
  const lastSeen = async (userId: string) =>
    Date.parse((await redis.get(rollcall.key(`user:last_seen:${userId}`))) ?? '');
  const robots = ['robot-here', 'robot-gone'];
  for (const userId of robots) await put(userId, 'a');
  for (const userId of robots) await isStored(userId, 'active');
  await end('robot-gone', 'a');
  await isStored('robot-gone', 'inactive');
  // A renewal of which Redis knows nothing any more.
  const latest = Math.max(...(await Promise.all(robots.map(lastSeen))));
  const renewedAt = Math.max(Date.now(), latest + 1);
  for (const userId of robots) await row(userId).update({ last_seen: new Date(renewedAt) });
  const epoch = (await redis.get(rollcall.key('presence:epoch'))) ?? '';
  await redis.hset(rollcall.key('presence:settled'), { epoch, at: 0, returned: 1 });
  const queue = new Queue('maintenance', { connection: redis, prefix: rollcall.queuePrefix('maintenance') });
  // It waits until everything is recorded.
  const settle = () => queue.add('settle-lost', {}, { jobId: 'settle-now', removeOnComplete: true });
  for (const userId of robots) {
    await eventually(
      () => settle().then(() => lastSeen(userId)),
      (ms) => ms === renewedAt,
    );
  }
  await queue.close();
  expect((await look('robot-gone')).lastSeen).toBe(new Date(renewedAt).toISOString());
  await end('robot-here', 'a');
});

test('nothing here was a fault', () => {
  expect(rollcall.faults).toEqual([]);
});
