import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { isActive, isInactive, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually } from '../support/deployment.ts';
import { LOCK, samplesOf } from '../support/metrics.ts';

let rollcall: Deployment;
/** Where the worker tells of itself. */
let workerUrl: string;

beforeAll(async () => {
  rollcall = await Deployment.start('metrics', { webs: 2, workers: 0, env: { ...BRISK, ...LOCK } });
  const port = await freePort();
  await rollcall.addWorker({ METRICS_PORT: String(port) });
  workerUrl = `http://127.0.0.1:${port}`;
});
afterAll(() => rollcall?.stop());

const login = `${LOCK.ADMIN_USER}:${LOCK.ADMIN_PASSWORD}`;
const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`;

async function ask(url: string, authorization?: string): Promise<Response> {
  return await fetch(new URL('/metrics', url), authorization === undefined ? {} : { headers: { authorization } });
}

const sample = async (url: string, name: string) => (await samplesOf(url)).get(name);

test('web and worker tell the operator alone, and nobody while no password is set', async () => {
  for (const url of [rollcall.url, workerUrl]) {
    for (const wrong of [undefined, basic('ops:'), basic(`admin:${LOCK.ADMIN_PASSWORD}`), 'Bearer x']) {
      const refused = await ask(url, wrong);
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toMatch(/^Basic /);
    }
    const told = await ask(url, basic(login));
    expect(told.status).toBe(200);
    expect(told.headers.get('content-type')).toMatch(/^text\/plain/);
  }
  const open = await rollcall.addWeb({ ADMIN_PASSWORD: '' });
  expect((await ask(open.url, basic(login))).status).toBe(404);
  const port = await freePort();
  const worker = await rollcall.addWorker({ ADMIN_PASSWORD: '', METRICS_PORT: String(port) });
  expect((await ask(`http://127.0.0.1:${port}`, basic(login))).status).toBe(404);
  await Promise.all([open.end(), worker.end()]);
});

test('what happens to one user is counted: connections, heartbeats, transitions, their delivery and their lateness', async () => {
  const watcher = await TestClient.connect(rollcall.web(1).url, 'watcher', { watch: ['ada'] });
  const before = await samplesOf(workerUrl);
  const ada = await TestClient.connect(rollcall.url, 'ada');
  await watcher.hears('ada', isActive);
  expect(await sample(rollcall.url, 'rollcall_connections')).toBe(1);
  expect(await sample(rollcall.url, 'rollcall_sessions')).toBe(1);
  // On a machine that is busy with other tests something may be shed.
  expect(await sample(rollcall.url, 'rollcall_degrade_level')).toBeDefined();
  // Together, so that the second is too soon however slow the machine is.
  await Promise.all([ada.beat(), ada.beat()]);
  expect(await sample(rollcall.url, 'rollcall_heartbeats_total{result="accepted"}')).toBe(1);
  expect(await sample(rollcall.url, 'rollcall_heartbeats_total{result="limited"}')).toBe(1);
  await eventually(
    () => sample(workerUrl, 'rollcall_active_users'),
    (users) => users !== undefined && users >= 1,
  );
  expect(await sample(rollcall.web(1).url, 'rollcall_delivery_seconds_count')).toBeGreaterThanOrEqual(1);
  expect(await sample(rollcall.url, 'rollcall_redis_script_seconds_count{script="open-session"}')).toBeGreaterThan(0);

  // Falls silent and is expired.
  await watcher.hears('ada', isInactive);
  const timeouts = 'rollcall_transitions_total{cause="timeout"}';
  const after = await eventually(
    () => samplesOf(workerUrl),
    (found) => (found.get(timeouts) ?? 0) > (before.get(timeouts) ?? 0),
  );
  const rise = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  expect(rise('rollcall_transitions_total{cause="connect"}')).toBeGreaterThanOrEqual(1);
  expect(rise(timeouts)).toBeGreaterThanOrEqual(1);
  expect(rise('rollcall_timeout_lateness_seconds_count')).toBeGreaterThanOrEqual(1);
  const late = rise('rollcall_timeout_lateness_seconds_sum') / rise('rollcall_timeout_lateness_seconds_count');
  expect(late).toBeGreaterThanOrEqual(0);
  expect(late).toBeLessThan(2);
  for (const queue of ['timeouts', 'broadcasts', 'last-seen', 'maintenance']) {
    expect(after.get(`rollcall_queue_jobs{queue="${queue}",state="waiting"}`)).toBeGreaterThanOrEqual(0);
    expect(after.get(`rollcall_queue_oldest_waiting_seconds{queue="${queue}"}`)).toBeLessThan(5);
  }
  expect(after.get('rollcall_outbox_entries{group="record"}')).toBeGreaterThanOrEqual(0);
  expect(after.get('rollcall_outbox_oldest_seconds{group="record"}')).toBeLessThan(5);
  ada.leave();
  watcher.leave();
});

test('who is told inactive and is back on the same device within ten seconds, on whatever web, is a false inactive', async () => {
  const falsely = (cause: string) => sample(workerUrl, `rollcall_false_inactive_total{cause="${cause}"}`);
  // Has no presence of its own, which could flicker as well.
  const token = await tokenFor('looker', { scope: 'presence:read' });
  const watcher = await TestClient.connect(rollcall.url, 'looker', { token, watch: ['bea', 'cyd'] });
  const [disconnects = 0, timeouts = 0] = [await falsely('disconnect'), await falsely('timeout')];
  const device = { deviceId: 'phone' };
  const bea = await TestClient.connect(rollcall.url, 'bea', device);
  await watcher.hears('bea', isActive);
  bea.leave();
  await watcher.hears('bea', isInactive);
  // Another device is no flicker.
  const other = await TestClient.connect(rollcall.web(1).url, 'bea', { deviceId: 'laptop' });
  await watcher.hears('bea', isActive, { after: 2 });
  other.leave();
  await watcher.hears('bea', isInactive, { after: 3 });
  const again = await TestClient.connect(rollcall.web(1).url, 'bea', { deviceId: 'laptop' });
  await watcher.hears('bea', isActive, { after: 4 });
  await eventually(
    () => falsely('disconnect'),
    (count) => count === disconnects + 1,
  );

  // Silent for too long, and then a heartbeat after all.
  const cyd = await TestClient.connect(rollcall.url, 'cyd');
  await watcher.hears('cyd', isActive);
  await watcher.hears('cyd', isInactive);
  await cyd.beat();
  await watcher.hears('cyd', isActive, { after: 2 });
  await eventually(
    () => falsely('timeout'),
    (count) => count === timeouts + 1,
  );
  expect(await falsely('disconnect')).toBe(disconnects + 1);
  for (const client of [again, cyd, watcher]) client.leave();
});

test('with several web processes behind a port one answer speaks for the machine', async () => {
  const web = await rollcall.addWeb({ WEB_CONCURRENCY: '2' });
  const clients = await Promise.all(
    // They stay, for who has timed out has no job any more.
    Array.from({ length: 12 }, (_, n) => TestClient.connect(web.url, `many-${n}`, { watch: [], heartbeat: 'pong' })),
  );
  // Whichever of the two is asked. Of one that is too busy to answer in time it is told what it said before.
  const asked = async () => {
    const told: (number | undefined)[] = [];
    for (let n = 0; n < 6; n++) told.push(await sample(web.url, 'rollcall_connections'));
    return told;
  };
  await eventually(asked, (told) => told.every((count) => count === clients.length), 20_000);
  await eventually(
    () => sample(web.url, 'rollcall_queue_jobs{queue="timeouts",state="delayed"}'),
    (count) => (count ?? 0) >= clients.length,
  );
  for (const client of clients) client.leave();
  await web.end();
});
