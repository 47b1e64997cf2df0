import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Cable, layCable } from '../support/cable.ts';
import { TestClient } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { Clients, untilSeen, untilState } from './world.ts';

let deployment: Deployment;
let cable: Cable;
const clients = new Clients();

beforeAll(async () => {
  deployment = await Deployment.start('client-servers', {
    webs: 2,
    // Whoever is sent to another server begins within half of that, and has the other half to be let in.
    env: { ...CALM, HANDOVER_SECONDS: '10', MAX_WATCHED_USERS: '50' },
  });
  cable = await layCable(deployment.url);
});
afterEach(() => clients.close());
afterAll(async () => {
  await cable.close();
  await deployment.stop();
});

test('people on two servers see each other', async () => {
  const ada = clients.connect(deployment.web(0).url, 'ada');
  const bob = clients.connect(deployment.web(1).url, 'bob');
  await Promise.all([untilSeen(ada, 'bob', 'active'), untilSeen(bob, 'ada', 'active')]);
  const end = ada.watch(['bob'], () => {});
  bob.close();
  await untilSeen(ada, 'bob', 'inactive');
  end();
});

test('a thousand watches that were ended count for nothing', async () => {
  const ada = clients.connect(deployment.url, 'watcher');
  await untilState(ada, 'connected');
  const errors: string[] = [];
  ada.onError((error) => errors.push(error.code));
  for (let round = 0; round < 25; round += 1) {
    const userIds = Array.from({ length: 40 }, (_, n) => `passer-by-${round}-${n}`);
    await untilKnown(ada, userIds);
  }
  expect(errors).toEqual([]);
  // As many as allowed fit at once: none of the thousand is still held.
  await untilKnown(
    ada,
    Array.from({ length: 50 }, (_, n) => `friend-${n}`),
  );
  expect(errors).toEqual([]);
});

test('watching more than the server allows is a clear error, and those watched before stay watched', async () => {
  const ada = clients.connect(deployment.url, 'greedy');
  await untilState(ada, 'connected');
  const end = ada.watch(['bea'], () => {});
  await untilSeen(ada, 'bea', 'inactive');
  const refused = new Promise((resolve) => ada.onError((error) => resolve(error.code)));
  const endAll = ada.watch(
    Array.from({ length: 50 }, (_, n) => `friend-${n}`),
    () => {},
  );
  expect(await refused).toBe('TOO_MANY_WATCHED');
  clients.connect(deployment.url, 'bea');
  await untilSeen(ada, 'bea', 'active');
  endAll();
  end();
});

test('wanting too many before the first connection is the same error, and no reason to be locked out', async () => {
  const ada = clients.connect(deployment.url, 'greedy-at-once');
  const refused = new Promise((resolve) => ada.onError((error) => resolve(error.code)));
  ada.watch(
    Array.from({ length: 60 }, (_, n) => `friend-${n}`),
    () => {},
  );
  expect(await refused).toBe('TOO_MANY_WATCHED');
  await untilState(ada, 'connected');
});

test('a server that is shut down sends its clients to the next, and nobody else notices', async () => {
  const going = await deployment.addWeb();
  cable.lead(going.url);
  const ada = clients.connect(cable.url('drained'), 'drained');
  await untilState(ada, 'connected');
  const observer = await TestClient.connect(deployment.url, 'observer', { watch: ['drained'] });
  expect(observer.ready?.users).toMatchObject([{ userId: 'drained', status: 'active' }]);
  cable.lead(deployment.url);
  going.kill('SIGTERM');
  await untilState(ada, 'reconnecting');
  await untilState(ada, 'connected');
  await going.exited;
  // Whoever comes now is seen; had the move been told, it would have been before.
  const marker = clients.connect(deployment.url, 'marker');
  await untilState(marker, 'connected');
  await observer.watch('marker');
  marker.close();
  await observer.hears('marker', ({ status }) => status === 'inactive');
  expect(observer.statuses('drained')).toEqual([]);
  observer.leave();
});

test('a server that is killed is left for another, with a fresh picture', async () => {
  const going = await deployment.addWeb();
  cable.lead(going.url);
  const ada = clients.connect(cable.url('killed'), 'survivor');
  const end = ada.watch(['cleo'], () => {});
  await untilSeen(ada, 'cleo', 'inactive');
  cable.lead(deployment.url);
  going.kill('SIGKILL');
  await untilState(ada, 'reconnecting');
  clients.connect(deployment.url, 'cleo');
  await untilState(ada, 'connected');
  await untilSeen(ada, 'cleo', 'active');
  end();
});

/** Watches them until the server has answered for all, and lets them go. */
function untilKnown(client: ReturnType<Clients['connect']>, userIds: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('No answer for some.')), 10_000);
    const end = client.watch(userIds, () => {
      if (!userIds.every((userId) => client.get(userId))) return;
      clearTimeout(timer);
      end();
      resolve();
    });
  });
}
