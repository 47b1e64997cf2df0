import { expect, test } from 'vitest';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';
import { connect, keepAlive, settled, TTL_MS, withPrivatePostgres, withPrivateRedis } from './outage.ts';

test('a Redis that was paused for longer than the TTL expires nobody who keeps beating', async () => {
  const { rollcall, redis } = await withPrivateRedis('redis paused');
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch: ['beats', 'silent', 'marker'] });
  const beats = await connect(rollcall.web(0).url, 'beats');
  const silent = await connect(rollcall.web(0).url, 'silent');
  await watcher.hears('beats', isActive);
  await watcher.hears('silent', isActive);
  keepAlive(beats);
  await silent.beat();
  const lastBeat = Date.now();
  await redis.kill('SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, TTL_MS + 1500));
  await redis.kill('SIGCONT');
  const gone = await watcher.hears('silent', isInactive, { withinMs: 5000 });
  expect(Math.abs(Date.parse(gone.lastSeen ?? '') - lastBeat)).toBeLessThan(1000);
  await connect(rollcall.web(0).url, 'marker');
  await watcher.hears('marker', isActive);
  expect(watcher.of('beats').map((change) => change.status)).toEqual(['active']);
}, 60_000);

test('PostgreSQL away for 15 s: presence goes on, and then everything of the meantime is written, once', async () => {
  const { rollcall, postgres } = await withPrivatePostgres('postgres away');
  const watcher = await connect(rollcall.url, 'watcher', { watch: ['known', 'newcomer'] });
  const known = await connect(rollcall.url, 'known', { deviceId: 'phone' });
  await watcher.hears('known', isActive);
  await settled(rollcall, 'known', 'active');
  await postgres.shutdown();
  const from = performance.now();
  known.leave();
  await watcher.hears('known', isInactive, { withinMs: 2000 });
  const again = await connect(rollcall.url, 'known', { deviceId: 'phone' });
  // However long all the questions take on a busy machine.
  keepAlive(again);
  await watcher.hears('known', isActive, { after: 2, withinMs: 2000 });
  const probe = await rest(rollcall.url, 'GET', '/readyz');
  expect(probe).toMatchObject({ status: 200, body: { ready: true, postgres: false } });
  const token = await tokenFor('watcher');
  expect((await rest(rollcall.url, 'GET', '/users/known/status', { token })).body).toMatchObject({ status: 'active' });
  const stranger = await rest(rollcall.url, 'POST', '/users/status/query', {
    token,
    body: { userIds: ['known', 'stranger'] },
  });
  expect(stranger).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
  const watched = await watcher.watch('stranger', 'known');
  expect(watched).toMatchObject({ ok: true, pending: ['stranger'], users: [{ userId: 'known', status: 'active' }] });
  // A choice that can't be kept is none: who would come hidden does not come.
  const hidden = new TestClient(rollcall.url, { token: await tokenFor('shy'), appear: 'inactive' });
  expect(await hidden.welcomed().catch((error) => error)).toMatchObject({ code: 'UNAVAILABLE' });
  // So is what is said of somebody, whoever says it.
  const service = await tokenFor('backend', { scope: 'presence:write' });
  const call = { token: service, body: { text: 'call' } };
  expect(await again.socket.emitWithAck('set_detail', { text: 'here' })).toMatchObject({
    error: { code: 'UNAVAILABLE' },
  });
  const refused = { status: 503, body: { code: 'UNAVAILABLE' } };
  expect(await rest(rollcall.url, 'PUT', '/users/known/detail/call', call)).toMatchObject(refused);
  expect(await rest(rollcall.url, 'GET', '/users/known/status?include=detail', { token })).toMatchObject({
    body: { status: 'active', detail: {} },
  });
  // Whether to ring is known of those whom Redis knows, and of nobody else.
  const reach = (userId: string) =>
    rest(rollcall.url, 'POST', '/reach', { token: service, body: { userIds: [userId] } });
  expect((await reach('known')).body.users).toMatchObject([{ decision: 'in_app', reason: 'attended' }]);
  expect(await reach('stranger')).toMatchObject(refused);
  // What the newcomer chose is unknown, so nobody is shown anything until it is.
  keepAlive(await connect(rollcall.url, 'newcomer'));
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, 15_000 - (performance.now() - from))));
  expect(watcher.of('newcomer')).toEqual([]);
  await postgres.start();
  await watcher.hears('newcomer', isActive, { withinMs: 6000 });
  await watcher.hears('stranger', isInactive, { withinMs: 6000 });
  keepAlive(await connect(rollcall.url, 'shy'));
  const shy = await rest(rollcall.url, 'GET', '/users/shy/status?include=why', { token: await tokenFor('shy') });
  expect(shy.body).toMatchObject({ status: 'active', why: { rule: 'heartbeat' } });
  expect((await rest(rollcall.url, 'GET', '/users/known/detail', { token: service })).body).toEqual({ sources: [] });
  const rows = await eventually(
    () => rollcall.db('status_transitions').where({ user_id: 'known' }).orderBy('version'),
    (found) => found.length >= 3,
    5000,
  );
  expect(rows.map((row) => row.status)).toEqual(['active', 'inactive', 'active']);
  expect(watcher.of('known').map((change) => change.version)).toEqual(rows.map((row) => Number(row.version)));
}, 90_000);
