import { io } from 'socket.io-client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ConnectionState } from '../../src/client/index.ts';
import { CONNECT_OPTION_NAMES, PROTOCOL } from '../../src/protocol/socket.ts';
import { type Cable, layCable } from '../support/cable.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually } from '../support/deployment.ts';
import { Clients, presenceOf, until, untilSeen, untilState } from './world.ts';

let deployment: Deployment;
let cable: Cable;
const clients = new Clients();

beforeAll(async () => {
  deployment = await Deployment.start('client-connection', { env: BRISK });
  cable = await layCable(deployment.url);
});
afterEach(() => clients.close());
afterAll(async () => {
  await cable.close();
  await deployment.stop();
});

/** The states a client goes through, in order. */
function statesOf(client: { connection: { get(): ConnectionState; subscribe(listener: () => void): () => void } }) {
  const states: ConnectionState['status'][] = [client.connection.get().status];
  client.connection.subscribe(() => states.push(client.connection.get().status));
  return states;
}

describe('presence', () => {
  test('two people see each other come and go', async () => {
    const ada = clients.connect(deployment.url, 'ada');
    await untilState(ada, 'connected');
    const end = ada.watch(['bob'], () => {});
    await untilSeen(ada, 'bob', 'inactive');
    const bob = clients.connect(deployment.url, 'bob');
    await untilSeen(ada, 'bob', 'active');
    const closedAt = Date.now();
    bob.close();
    expect(bob.connection.get()).toMatchObject({ status: 'closed', reason: 'closed' });
    const gone = await untilSeen(ada, 'bob', 'inactive');
    // Whose silence alone told would have been seen before that.
    const lastSeen = Date.parse(gone?.lastSeen ?? '');
    expect(lastSeen).toBeGreaterThanOrEqual(closedAt - 5);
    expect(lastSeen).toBeLessThan(closedAt + 2000);
    end();
  });

  test('whoever is connected stays active, for longer than the TTL', async () => {
    const observer = await TestClient.connect(deployment.url, 'observer-1', { watch: ['stayer'] });
    const stayer = clients.connect(deployment.url, 'stayer');
    const { ttlMs } = await untilState(stayer, 'connected');
    const sessions = async () => {
      const answer = await rest(deployment.url, 'GET', '/users/stayer/sessions', { token: await tokenFor('stayer') });
      return answer.body.sessions[0];
    };
    const { connectedAt } = await eventually(sessions, (session) => session !== undefined);
    await eventually(
      sessions,
      ({ lastHeartbeat }) => Date.parse(lastHeartbeat) - Date.parse(connectedAt) > ttlMs * 2,
      ttlMs * 4,
    );
    expect(observer.statuses('stayer')).toEqual(['active']);
    observer.leave();
  });

  test('idle is told to the server, and so is coming back', async () => {
    const ada = clients.connect(deployment.url, 'idler');
    await untilState(ada, 'connected');
    const state = async () => {
      const token = await tokenFor('somebody');
      const answer = await rest(deployment.url, 'GET', '/users/idler/status?include=devices', { token });
      return answer.body.devices[0]?.state;
    };
    ada.setActivity('idle');
    await eventually(state, (value) => value === 'idle');
    ada.setActivity('auto');
    await eventually(state, (value) => value === 'active');
  });

  test('appearing inactive is seen by others, and by oneself where one watches oneself', async () => {
    const ada = clients.connect(deployment.url, 'hider');
    const bob = clients.connect(deployment.url, 'seeker');
    await Promise.all([untilState(ada, 'connected'), untilSeen(bob, 'hider', 'active')]);
    const own = untilSeen(ada, 'hider', 'inactive');
    const theirs = untilSeen(bob, 'hider', 'inactive');
    expect(await ada.setStatus('inactive')).toMatchObject({ userId: 'hider', status: 'inactive' });
    await Promise.all([own, theirs]);
    await ada.setStatus('active');
    await untilSeen(bob, 'hider', 'active');
  });

  test('with the audience "everyone" a client hears of all without watching anybody', async () => {
    const ada = clients.connect(deployment.url, 'early');
    await untilState(ada, 'connected');
    const bob = clients.connect(deployment.url, 'listener', { audience: 'everyone' });
    const sees = (userId: string, status: string) =>
      until(bob.everyone, (users) => users.some((user) => user.userId === userId && user.status === status));
    await sees('early', 'active');
    const changes: string[] = [];
    bob.onChange((list) => changes.push(...list.map(({ presence }) => `${presence.userId} ${presence.status}`)));
    const late = clients.connect(deployment.url, 'late');
    await sees('late', 'active');
    late.close();
    await sees('late', 'inactive');
    expect(changes.filter((change) => change.startsWith('late'))).toEqual(['late active', 'late inactive']);
  });
});

test('a client names the version of the protocol it speaks, and says nothing that the server does not know', async () => {
  const said: Record<string, unknown>[] = [];
  const noting = ((url: string, options: { auth: Record<string, unknown> }) => {
    said.push(options.auth);
    return io(url, options);
  }) as typeof io;
  const ada = clients.connect(deployment.url, 'well-spoken', { io: noting, device: { kind: 'web', name: 'Firefox' } });
  await untilState(ada, 'connected');
  const [{ token, ...options } = {}] = said;
  expect(options).toMatchObject({ protocol: PROTOCOL, batch: true, watch: [] });
  expect(CONNECT_OPTION_NAMES).toEqual(expect.arrayContaining(Object.keys(options)));
});

test('a service observes whom it likes, and nobody sees it', async () => {
  const getToken = () => tokenFor('a-service', { scope: 'presence:read' });
  const service = clients.connect(deployment.url, 'a-service', { getToken });
  const state = await untilState(service, 'connected');
  expect(state.sessionId).toBeNull();
  clients.connect(deployment.url, 'observed');
  await untilSeen(service, 'observed', 'active');
  const ada = clients.connect(deployment.url, 'curious');
  await untilSeen(ada, 'a-service', 'inactive');
});

describe('a network that fails', () => {
  test('a broken connection is mended by itself, and the picture is fresh', async () => {
    const ada = clients.connect(cable.url('ada-break'), 'breaker');
    const states = statesOf(ada);
    const bob = clients.connect(deployment.url, 'left-meanwhile');
    const end = ada.watch(['left-meanwhile'], () => {});
    await untilSeen(ada, 'left-meanwhile', 'active');
    cable.cut('ada-break');
    cable.break('ada-break');
    await untilState(ada, 'reconnecting');
    bob.close();
    const observer = clients.connect(deployment.url, 'observer-2');
    await untilSeen(observer, 'left-meanwhile', 'inactive');
    expect(ada.get('left-meanwhile')?.status).toBe('active');
    cable.mend('ada-break');
    await untilState(ada, 'connected');
    expect(ada.get('left-meanwhile')?.status).toBe('inactive');
    expect(states.filter((state, index) => state !== states[index - 1])).toEqual([
      'connecting',
      'connected',
      'reconnecting',
      'connected',
    ]);
    end();
  });

  test('a half-open connection: others see the silence in time, and both recover', async () => {
    const ada = clients.connect(cable.url('ada-half'), 'half-open');
    const { ttlMs } = await untilState(ada, 'connected');
    const bob = clients.connect(deployment.url, 'observer-3');
    const end = bob.watch(['half-open'], () => {});
    await untilSeen(bob, 'half-open', 'active');
    cable.cut('ada-half');
    const gone = await untilSeen(bob, 'half-open', 'inactive', ttlMs + 3000);
    expect(Date.now() - Date.parse(gone?.lastSeen ?? '')).toBeGreaterThan(ttlMs - 100);
    cable.mend('ada-half');
    await untilSeen(bob, 'half-open', 'active');
    end();
  });

  test('the same device comes back as the same session', async () => {
    const ada = clients.connect(cable.url('ada-same'), 'returner');
    const before = await untilState(ada, 'connected');
    cable.break('ada-same');
    await untilState(ada, 'reconnecting');
    const after = await untilState(ada, 'connected');
    expect(after.sessionId).toBe(before.sessionId);
  });
});

describe('leaving', () => {
  test('logging out on one device leaves the other signed in', async () => {
    const phone = clients.connect(deployment.url, 'two-devices', { deviceId: 'phone' });
    const laptop = clients.connect(deployment.url, 'two-devices', { deviceId: 'laptop' });
    await Promise.all([untilState(phone, 'connected'), untilState(laptop, 'connected')]);
    await phone.logout();
    expect(phone.connection.get()).toMatchObject({ status: 'closed', reason: 'logout' });
    expect(laptop.connection.get().status).toBe('connected');
  });

  test('signed out from elsewhere, a client stays away and says why', async () => {
    const phone = clients.connect(deployment.url, 'signed-out', { deviceId: 'phone' });
    const laptop = clients.connect(deployment.url, 'signed-out', { deviceId: 'laptop' });
    await Promise.all([untilState(phone, 'connected'), untilState(laptop, 'connected')]);
    await laptop.logout({ everywhere: true });
    expect(await untilState(phone, 'closed')).toMatchObject({ reason: 'logout' });
  });

  test('a second connection with the same device id replaces the first, which does not fight for it', async () => {
    const first = clients.connect(deployment.url, 'doubled', { deviceId: 'tablet' });
    await untilState(first, 'connected');
    const second = clients.connect(deployment.url, 'doubled', { deviceId: 'tablet' });
    await untilState(second, 'connected');
    expect(await untilState(first, 'closed')).toMatchObject({ reason: 'replaced' });
  });

  test('holding on twice and letting go once keeps the connection, letting go twice closes it', async () => {
    const ada = clients.connect(deployment.url, 'held');
    await untilState(ada, 'connected');
    const release = ada.connect();
    release();
    release();
    await untilSeen(ada, 'held', 'active');
    expect(ada.connection.get().status).toBe('connected');
  });

  test('a listener that closes the client in the middle of a loss is obeyed', async () => {
    const ada = clients.connect(cable.url('ada-fed-up'), 'fed-up');
    await untilState(ada, 'connected');
    const states = statesOf(ada);
    ada.connection.subscribe(() => {
      if (ada.connection.get().status === 'reconnecting') ada.close();
    });
    cable.break('ada-fed-up');
    await untilState(ada, 'closed');
    const observer = await TestClient.connect(deployment.url, 'observer-4', { watch: ['fed-up'] });
    // The server may hear of the loss a moment later than the client.
    await eventually(
      () => observer.watch('fed-up'),
      (answer) => answer.ok && answer.users[0]?.status === 'inactive',
    );
    expect(states).toEqual(['connected', 'reconnecting', 'closed']);
    observer.leave();
  });

  test('after close() the client can connect again', async () => {
    const ada = clients.connect(deployment.url, 'again');
    await untilState(ada, 'connected');
    ada.close();
    await expect(ada.setStatus('active')).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
    ada.connect();
    await untilState(ada, 'connected');
    expect(await until(presenceOf(ada, 'again'), (presence) => presence !== undefined)).toBeDefined();
  });
});
