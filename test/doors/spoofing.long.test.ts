import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('spoofing', { env: CALM });
});
afterAll(() => rollcall?.stop());

const FORBIDDEN = { ok: false, error: { code: 'FORBIDDEN', message: expect.any(String) } };
const reader = () => tokenFor('reader', { scope: 'presence:read' });
const writer = () => tokenFor('writer', { scope: 'presence:write' });

async function statusOf(userId: string): Promise<string> {
  const { body } = await rest(rollcall.url, 'GET', `/users/${userId}/status`, { token: await reader() });
  return body.status;
}

test('an end user acts for nobody else, by no event and no route, and the victim notices nothing', async () => {
  const watcher = await TestClient.connect(rollcall.url, 'watcher-a', { watch: ['victim'] });
  const victim = await TestClient.connect(rollcall.url, 'victim', { deviceId: 'phone' });
  const eve = await TestClient.connect(rollcall.url, 'eve', { deviceId: 'phone' });
  const token = await tokenFor('eve', { name: 'victim', userId: 'victim', user_id: 'victim' });
  expect(eve.sessionId).not.toBe(victim.sessionId);

  const setStatus = { status: 'inactive' as const, userId: 'victim' };
  expect(await eve.socket.emitWithAck('set_status', setStatus)).toEqual(FORBIDDEN);
  const refused = await Promise.all([
    rest(rollcall.url, 'POST', '/users/status', { token, body: setStatus }),
    rest(rollcall.url, 'POST', '/users/logout', { token, body: { userId: 'victim' } }),
    rest(rollcall.url, 'POST', '/users/logout', { token, body: { userId: 'victim', sessionId: victim.sessionId } }),
    rest(rollcall.url, 'GET', '/users/victim/sessions', { token }),
    rest(rollcall.url, 'DELETE', `/users/victim/sessions/${victim.sessionId}`, { token }),
    rest(rollcall.url, 'GET', '/users/victim/status?include=why', { token }),
  ]);
  for (const { status, body } of refused) {
    expect(status).toBe(403);
    expect(body).toEqual({ statusCode: 403, code: 'FORBIDDEN', error: 'Forbidden', message: expect.any(String) });
  }
  // The session of another is not one of one's own, however its id came to be known.
  const own = await rest(rollcall.url, 'POST', '/users/logout', { token, body: { sessionId: victim.sessionId } });
  expect([own.status, own.body.code]).toEqual([404, 'SESSION_NOT_FOUND']);
  // What an event has no field for is refused, and nothing of it done.
  const smuggled = { everywhere: false, userId: 'victim', sessionId: victim.sessionId };
  expect(await eve.socket.emitWithAck('logout', smuggled)).toMatchObject({
    ok: false,
    error: { code: 'INVALID_REQUEST' },
  });
  expect(await eve.socket.emitWithAck('logout', { everywhere: false })).toEqual({ ok: true });
  expect(await eve.isClosed()).toEqual({ reason: 'logout', reconnect: false });

  expect(await victim.beat()).toMatchObject({ ok: true });
  expect(victim.closed).toEqual([]);
  victim.leave();
  await watcher.hears('victim', isInactive);
  expect(watcher.statuses('victim')).toEqual(['active', 'inactive']);
  watcher.leave();
});

test('naming oneself is no spoofing', async () => {
  const ada = await TestClient.connect(rollcall.url, 'self');
  const answer = await ada.socket.emitWithAck('set_status', { status: 'active', userId: 'self' });
  expect(answer).toEqual({ ok: true, userId: 'self', status: 'active', lastSeen: expect.any(String) });
  ada.leave();
});

test('a service that may write acts for anyone but has to say for whom; one that may only read does not', async () => {
  const ada = await TestClient.connect(rollcall.url, 'served');
  const body = { status: 'inactive', userId: 'served' };
  const readOnly = await rest(rollcall.url, 'POST', '/users/status', { token: await reader(), body });
  expect([readOnly.status, readOnly.body.code]).toEqual([403, 'FORBIDDEN']);
  const nobody = await rest(rollcall.url, 'POST', '/users/logout', { token: await writer(), body: {} });
  expect([nobody.status, nobody.body.code]).toEqual([400, 'INVALID_REQUEST']);
  const done = await rest(rollcall.url, 'POST', '/users/status', { token: await writer(), body });
  expect(done.body).toMatchObject({ userId: 'served', status: 'inactive' });
  const looker = await TestClient.connect(rollcall.url, 'reader', { token: await reader() });
  expect(await looker.socket.emitWithAck('set_status', { status: 'active', userId: 'served' })).toEqual(FORBIDDEN);
  const actor = await TestClient.connect(rollcall.url, 'writer', { token: await writer() });
  const back = await actor.socket.emitWithAck('set_status', { status: 'active', userId: 'served' });
  expect(back).toMatchObject({ ok: true, userId: 'served', status: 'active' });
  for (const client of [ada, looker, actor]) client.leave();
});

test('a fresh token of somebody else ends the connection; the somebody else does not become active', async () => {
  const watcher = await TestClient.connect(rollcall.url, 'watcher-b', { watch: ['mallory'] });
  const mallory = await TestClient.connect(rollcall.url, 'mallory');
  await watcher.hears('mallory', isActive);
  const answer = await mallory.socket.emitWithAck('authenticate', { token: await tokenFor('alice') });
  expect(answer).toEqual(FORBIDDEN);
  // It stays away: with its own token it would come back to offer that of somebody else again.
  expect(await mallory.isClosed()).toEqual({ reason: 'logout', reconnect: false });
  expect(await mallory.isDisconnected()).toBe('io server disconnect');
  await watcher.hears('mallory', isInactive);
  const { status } = await rest(rollcall.url, 'GET', '/users/alice/status', { token: await reader() });
  expect(status).toBe(404);
  watcher.leave();
});

test('a fresh token that is bad, or of another kind, is refused and the old one stays in force', async () => {
  const ada = await TestClient.connect(rollcall.url, 'ada');
  const offer = async (token: unknown) => {
    const answer = await ada.socket.emitWithAck('authenticate', { token } as { token: string });
    return answer.ok ? 'taken' : answer.error.code;
  };
  expect(await offer(await tokenFor('ada', { scope: 'presence:write' }))).toBe('FORBIDDEN');
  expect(await offer(await tokenFor('ada', { expiresInSeconds: -10 }))).toBe('TOKEN_EXPIRED');
  expect(await offer('garbage')).toBe('UNAUTHENTICATED');
  expect(await offer(7)).toBe('INVALID_REQUEST');
  expect(await offer(undefined)).toBe('INVALID_REQUEST');
  const other = await ada.socket.emitWithAck('set_status', { status: 'inactive', userId: 'served' });
  expect(other).toEqual(FORBIDDEN);
  expect(await ada.beat()).toMatchObject({ ok: true });
  expect(await statusOf('ada')).toBe('active');
  expect(await offer(await tokenFor('ada'))).toBe('taken');
  ada.leave();
});

test("a service's rights are those of its freshest token, and one that may not even read is refused", async () => {
  await (await TestClient.connect(rollcall.url, 'subject')).beat();
  const token = (scope: string) => tokenFor('robot', { scope });
  const robot = await TestClient.connect(rollcall.url, 'robot', { token: await token('presence:write') });
  const act = () => robot.socket.emitWithAck('set_status', { status: 'active', userId: 'subject' });
  expect(await act()).toMatchObject({ ok: true });
  const refused = await robot.socket.emitWithAck('authenticate', { token: await token('presence:none') });
  expect(refused).toEqual(FORBIDDEN);
  expect(await act()).toMatchObject({ ok: true });
  expect(await robot.socket.emitWithAck('authenticate', { token: await token('presence:read') })).toEqual({ ok: true });
  expect(await act()).toEqual(FORBIDDEN);
  expect(await robot.watch('subject')).toMatchObject({ ok: true });
  expect(await robot.socket.emitWithAck('authenticate', { token: await tokenFor('robot') })).toEqual(FORBIDDEN);
  robot.leave();
});

test('a token about to end says so; without a fresh one the socket is closed within five seconds of its end', async () => {
  const watcher = await TestClient.connect(rollcall.url, 'watcher-c', { watch: ['short'] });
  const expiresAt = (Math.floor(Date.now() / 1000) + 3) * 1000;
  const token = await tokenFor('short', { expiresInSeconds: 3 });
  const short = await TestClient.connect(rollcall.url, 'short', { token });
  const expiring = await short.until(() => short.expiring[0], 'token_expiring', 5000);
  expect(Math.abs(Date.parse(expiring.expiresAt) - expiresAt)).toBeLessThanOrEqual(1000);
  expect(await short.isClosed()).toEqual({ reason: 'token_expired', reconnect: true, afterMs: expect.any(Number) });
  // When it was closed, whenever this machine comes to tell of it.
  const { lastSeen } = await watcher.hears('short', isInactive);
  const late = Date.parse(lastSeen ?? '') - Date.parse(expiring.expiresAt);
  expect(late).toBeGreaterThanOrEqual(0);
  expect(late).toBeLessThanOrEqual(5000);
  watcher.leave();
});

test('a fresh token keeps the socket beyond the end of the old one, and none that lasts is told to expire', async () => {
  const token = await tokenFor('lasting', { expiresInSeconds: 2 });
  const lasting = await TestClient.connect(rollcall.url, 'lasting', { token });
  const doomed = await TestClient.connect(rollcall.url, 'doomed', {
    token: await tokenFor('doomed', { expiresInSeconds: 2 }),
  });
  const fresh = await tokenFor('lasting');
  expect(await lasting.socket.emitWithAck('authenticate', { token: fresh })).toEqual({ ok: true });
  await doomed.isClosed();
  await eventually(
    () => Date.now(),
    (now) => now > Date.parse(doomed.expiring[0]?.expiresAt ?? '') + 1500,
  );
  expect(await lasting.beat()).toMatchObject({ ok: true });
  expect(lasting.closed).toEqual([]);
  expect(lasting.expiring.length).toBeLessThanOrEqual(1);
  lasting.leave();
});
