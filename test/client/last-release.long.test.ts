import { execFileSync } from 'node:child_process';
import { readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Cable, layCable } from '../support/cable.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually } from '../support/deployment.ts';
import { temporaryRoom } from '../support/temporary.ts';
import { Clients, untilSeen, untilState } from './world.ts';

/**
 * The package as it was published last: `npm run build`, and `npm pack` in `dist/client`. Applications keep theirs for
 * years, so this one is not built anew with the server; the release after it takes its place.
 */
const KEPT = 'test/client/last-release';

let deployment: Deployment;
let cable: Cable;
let clients: Clients;
let room: Awaited<ReturnType<typeof temporaryRoom>>;
let folder: string;

beforeAll(async () => {
  room = await temporaryRoom('last-release');
  const [tarball = '', ...others] = await readdir(KEPT);
  expect(others).toEqual([]);
  execFileSync('tar', ['-xzf', join(KEPT, tarball), '-C', room.path]);
  folder = join(room.path, 'package');
  // Of socket.io-client it takes what its application has.
  await symlink(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'));
  const { createPresenceClient } = await import(pathToFileURL(join(folder, 'client.js')).href);
  clients = new Clients(createPresenceClient);
  deployment = await Deployment.start('last-release', {
    // Who stays active must not be missed for a pause of a busy machine.
    env: { ...BRISK, PRESENCE_TTL_SECONDS: '5' },
  });
  cable = await layCable(deployment.url);
});
afterEach(() => clients?.close());
afterAll(async () => {
  await cable?.close();
  await deployment?.stop();
  await room?.remove();
});

const connect = async (userId: string, url = deployment.url) => {
  const client = clients.connect(url, userId);
  await untilState(client, 'connected');
  return client;
};

test('it is a package of its own, and the one of a release', async () => {
  const { name, version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  expect(await readdir(KEPT)).toEqual([`${name}-${version}.tgz`]);
  const own = JSON.parse(await readFile('package.json', 'utf8'));
  const number = (text: string) => text.split('.').reduce((sum, part) => sum * 1000 + Number(part), 0);
  expect(number(version)).toBeLessThanOrEqual(number(own.version));
});

test('the client of the last release sees others come and go', async () => {
  const ada = await connect('ada');
  const end = ada.watch(['bob'], () => {});
  await untilSeen(ada, 'bob', 'inactive');
  const bob = await connect('bob');
  await untilSeen(ada, 'bob', 'active');
  bob.close();
  const gone = await untilSeen(ada, 'bob', 'inactive');
  expect(Date.parse(gone?.lastSeen ?? '')).toBeGreaterThan(Date.now() - 10_000);
  end();
});

test('the client of the last release stays active for as long as it is connected', async () => {
  const observer = await TestClient.connect(deployment.url, 'observer-1', { watch: ['stayer'] });
  const stayer = await connect('stayer');
  const { ttlMs } = await untilState(stayer, 'connected');
  const beganAt = Date.now();
  const lastHeartbeat = async () => {
    const { body } = await rest(deployment.url, 'GET', '/users/stayer/sessions', { token: await tokenFor('stayer') });
    return Date.parse(body.sessions[0]?.lastHeartbeat);
  };
  await eventually(lastHeartbeat, (at) => at - beganAt > ttlMs * 2, ttlMs * 5);
  expect(observer.statuses('stayer')).toEqual(['active']);
  observer.leave();
});

test('the client of the last release says that nobody is at the device, and that somebody is', async () => {
  const idler = await connect('idler');
  const state = async () => {
    const token = await tokenFor('somebody');
    const { body } = await rest(deployment.url, 'GET', '/users/idler/status?include=devices', { token });
    return body.devices[0]?.state;
  };
  idler.setActivity('idle');
  await eventually(state, (value) => value === 'idle');
  idler.setActivity('auto');
  await eventually(state, (value) => value === 'active');
});

test('the client of the last release appears inactive, and shows a detail', async () => {
  const hider = await connect('hider');
  const seeker = await connect('seeker');
  await untilSeen(seeker, 'hider', 'active');
  const end = seeker.watch(['hider'], () => {});
  expect(await hider.setStatus('inactive')).toMatchObject({ userId: 'hider', status: 'inactive' });
  await untilSeen(seeker, 'hider', 'inactive');
  await hider.setStatus('active');
  await untilSeen(seeker, 'hider', 'active');
  await hider.setDetail({ availability: 'busy', text: 'In a meeting', emoji: '📅' });
  const detail = async () => seeker.get('hider')?.detail;
  expect(await eventually(detail, (shown) => shown?.text !== undefined)).toMatchObject({
    availability: 'busy',
    text: 'In a meeting',
    emoji: '📅',
  });
  end();
});

test('the client of the last release shows who is typing, until the message is sent', async () => {
  const token = await tokenFor('the-host', { scope: 'presence:write' });
  for (const userId of ['typist', 'reader']) {
    const { status } = await rest(deployment.url, 'PUT', `/conversations/lobby/members/${userId}`, { token });
    expect(status).toBe(204);
  }
  const [typist, reader] = [await connect('typist'), await connect('reader')];
  const ends = [typist, reader].map((client) => client.watchIndicators('lobby', () => {}));
  const shown = async () => {
    // Whoever joins after it was said hears of it with the next key stroke.
    typist.typing('lobby');
    return reader.indicators('lobby');
  };
  expect(await eventually(shown, (list) => list.length > 0)).toEqual([{ userId: 'typist', kind: 'typing' }]);
  typist.stopIndicator('lobby');
  await eventually(
    async () => reader.indicators('lobby'),
    (list) => list.length === 0,
  );
  for (const end of ends) end();
});

test('the client of the last release comes back as the same session, with a fresh picture', async () => {
  const ada = await connect('returner', cable.url('returner'));
  const before = await untilState(ada, 'connected');
  const bob = await connect('left-meanwhile');
  const end = ada.watch(['left-meanwhile'], () => {});
  await untilSeen(ada, 'left-meanwhile', 'active');
  cable.cut('returner');
  cable.break('returner');
  await untilState(ada, 'reconnecting');
  bob.close();
  const observer = await connect('observer-2');
  await untilSeen(observer, 'left-meanwhile', 'inactive');
  cable.mend('returner');
  const after = await untilState(ada, 'connected');
  expect(after.sessionId).toBe(before.sessionId);
  expect(ada.get('left-meanwhile')?.status).toBe('inactive');
  end();
});

test('the client of the last release goes to another web when its own is stopped', async () => {
  const web = await deployment.addWeb();
  const drained = await layCable(web.url);
  const moved = await connect('moved', drained.url('moved'));
  const before = await untilState(moved, 'connected');
  drained.lead(deployment.url);
  web.kill('SIGTERM');
  await untilState(moved, 'reconnecting');
  const after = await untilState(moved, 'connected');
  expect(after.sessionId).toBe(before.sessionId);
  const observer = await connect('observer-3');
  await untilSeen(observer, 'moved', 'active');
  await drained.close();
});

test('the client of the last release gives up where the server says that no try can mend it', async () => {
  const getToken = () => tokenFor('a-service', { scope: 'presence:none' });
  const refused = clients.connect(deployment.url, 'a-service', { getToken });
  expect(await untilState(refused, 'closed')).toMatchObject({ reason: 'refused', error: { code: 'FORBIDDEN' } });
});

test('the client of the last release logs out for good', async () => {
  const ada = await connect('leaver');
  const observer = await TestClient.connect(deployment.url, 'observer-4', { watch: ['leaver'] });
  await ada.logout();
  expect(ada.connection.get()).toMatchObject({ status: 'closed', reason: 'logout' });
  await observer.hears('leaver', ({ status }) => status === 'inactive');
  observer.leave();
});
