import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ensurePythonClient } from '../../scripts/embedded/python.ts';
import { isActive, isInactive, TestClient, tokenFor } from '../support/client.ts';
import { Deployment } from '../support/deployment.ts';
import { Link } from '../support/link.ts';
import { PythonClient } from '../support/python-client.ts';

let python: string;
let rollcall: Deployment;
const here: { leave?(): void; end?(): Promise<void> }[] = [];

beforeAll(async () => {
  python = await ensurePythonClient();
  rollcall = await Deployment.start('python clients', {
    webs: 2,
    // The token that a test lets end is noticed soon, and whoever comes back after a deploy has the time that Python's back-off takes.
    env: { HANDOVER_SECONDS: '30', AUDIENCE: 'watchers', HEARTBEAT_MIN_INTERVAL_SECONDS: '0' },
  });
}, 300_000);
afterEach(async () => {
  for (const client of here.splice(0)) {
    client.leave?.();
    await client.end?.();
  }
});
afterAll(async () => {
  const faults = rollcall?.faults;
  await rollcall?.stop();
  expect(faults).toEqual([]);
});

async function watcherOf(userId: string): Promise<TestClient> {
  // On the web that stays.
  const watcher = await TestClient.connect(rollcall.web(1).url, `watcher-${userId}`, { watch: [userId] });
  here.push(watcher);
  return watcher;
}

test('the example in Python on the page of the protocol is told of who comes, also once it was quickly back from a fault', async () => {
  const [, example = ''] = /^```python\n(.*?)^```$/ms.exec(await readFile('docs/protocol.md', 'utf8')) ?? [];
  const link = await Link.to(Number(new URL(rollcall.web(0).url).port));
  here.push({ end: () => link.close() });
  const placed = example
    .replace('https://presence.example.com', `http://127.0.0.1:${link.port}`)
    // By default the first attempt comes after 0.5 to 1.5 s.
    .replace('AsyncClient()', 'AsyncClient(reconnection_delay=0.1, randomization_factor=0)')
    .replace(/^ {4}\.\.\. .*$/m, `    return "${await tokenFor('robot')}"`);
  const program = spawn(python, ['-u', '-c', placed], { stdio: ['ignore', 'pipe', 'inherit'] });
  here.push({ leave: () => program.kill() });
  const watcher = await watcherOf('robot');
  if (watcher.ready?.users?.[0]?.status !== 'active') await watcher.hears('robot', isActive, { withinMs: 20_000 });
  const lines = createInterface(program.stdout);
  const line = () => once(lines, 'line', { signal: AbortSignal.timeout(20_000) });
  const [[said], ada] = await Promise.all([line(), TestClient.connect(rollcall.web(1).url, 'ada')]);
  here.push(ada);
  expect(said).toMatch(/^ada active 20\d\d-/);
  const heard = watcher.of('robot').length;
  link.break();
  await watcher.hears('robot', isActive, { after: heard, withinMs: 20_000 });
  // A second after a break its library looks whether it is on its way back, and it is there long before.
  await setTimeout(2500);
  const [[later]] = await Promise.all([line(), ada.leave()]);
  expect(later).toMatch(/^ada inactive 20\d\d-/);
});

describe.each(['websocket', 'polling'] as const)('a client in Python, by %s', (transport) => {
  async function connect(userId: string, token?: string): Promise<PythonClient> {
    const auth = { token: token ?? (await tokenFor(userId)), watch: [], deviceId: 'python' };
    const client = new PythonClient(python, rollcall.web(0).url, transport, auth);
    here.push(client);
    await client.hears('ready');
    return client;
  }

  test('connects and is seen, beats, watches and hears who comes and goes, and is told away when it goes', async () => {
    const userId = `core-${transport}`;
    const watcher = await watcherOf(userId);
    const client = await connect(userId);
    expect(await client.hears('ready')).toMatchObject({ userId, ttlMs: 60_000 });
    await watcher.hears(userId, isActive);
    expect(await client.call('heartbeat', { state: 'active' })).toMatchObject({ ok: true, nextInMs: 30_000 });
    const other = `other-${transport}`;
    const watched = await client.call('watch', { userIds: [other] });
    expect(watched).toMatchObject({ ok: true, users: [{ userId: other, status: 'inactive' }] });
    const came = await TestClient.connect(rollcall.web(1).url, other);
    await client.hears('user_status_change', isActive);
    came.leave();
    expect(await client.hears('user_status_change', isInactive)).toMatchObject({ userId: other });
    expect(await client.call('logout', {})).toMatchObject({ ok: true });
    await watcher.hears(userId, isInactive);
    // A sign-out is for good: it stays away by itself.
    expect(await client.hears('session_closed')).toEqual({ reason: 'logout', reconnect: false });
    await client.hears('disconnect');
    expect(client.of('connect')).toHaveLength(1);
  });

  test('hands in a fresh token before its own ends and stays; with one that ended it is closed, and is back with the next', async () => {
    const userId = `tokens-${transport}`;
    const watcher = await watcherOf(userId);
    const client = await connect(userId, await tokenFor(userId, { expiresInSeconds: 15 }));
    await watcher.hears(userId, isActive);
    await client.hears('token_expiring');
    const soon = await tokenFor(userId, { expiresInSeconds: 20 });
    expect(await client.call('authenticate', { token: soon })).toMatchObject({ ok: true });
    await client.hears('token_expiring', undefined, 2);
    expect(client.of('session_closed')).toEqual([]);
    client.useToken(await tokenFor(userId));
    expect(await client.hears('session_closed')).toMatchObject({ reason: 'token_expired', reconnect: true });
    await client.hears('ready', undefined, 2);
    expect(await client.call('heartbeat', {})).toMatchObject({ ok: true });
  });

  test('comes back by itself after a deploy, and nobody is told that it left', async () => {
    const userId = `deploy-${transport}`;
    const watcher = await watcherOf(userId);
    const client = await connect(userId);
    await watcher.hears(userId, isActive);
    const web = rollcall.web(0);
    web.kill('SIGTERM');
    expect(await client.hears('session_closed')).toMatchObject({ reason: 'draining', reconnect: true });
    expect(await web.exited).toEqual({ code: 0, signal: null });
    rollcall.webs.unshift(await rollcall.addWeb({ PORT: new URL(web.url).port }));
    await client.hears('ready', undefined, 2);
    expect(await client.call('heartbeat', {})).toMatchObject({ ok: true });
    expect(watcher.of(userId).filter(isInactive)).toEqual([]);
  });
});
