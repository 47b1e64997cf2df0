import { connect, createServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { readAddress } from '../../src/client/address.ts';
import type { PresenceClient } from '../../src/client/index.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { Clients, untilState } from './world.ts';

let deployment: Deployment;
const clients = new Clients();
const servers: Server[] = [];

beforeAll(async () => {
  deployment = await Deployment.start('client-address', { env: CALM, workers: 0 });
});
afterEach(() => {
  vi.unstubAllGlobals();
  clients.close();
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => deployment.stop());

/** Listens, and returns the address as that of a web site. */
async function listen(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

/** A proxy under whose `/presence/` the server is, which takes that off; whatever else is asked for is not found. */
function mounted(): Promise<string> {
  const target = new URL(deployment.url);
  return listen(
    createServer((near) => {
      near.on('error', () => near.destroy());
      near.once('data', (first) => {
        const head = first.toString('latin1');
        if (!/^\w+ \/presence\//.test(head)) {
          near.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
          return;
        }
        const far = connect(Number(target.port), target.hostname);
        far.on('error', () => near.destroy());
        near.on('close', () => far.destroy());
        far.write(head.replace('/presence/', '/'), 'latin1');
        near.pipe(far).pipe(near);
      });
    }),
  );
}

const firstError = (client: PresenceClient) =>
  new Promise<string>((resolve) => client.onError(({ code, message }) => resolve(`${code}: ${message}`)));

test.each([
  ['https://example.com', 'https://example.com/', '/socket.io'],
  ['https://example.com/', 'https://example.com/', '/socket.io'],
  ['https://example.com/presence', 'https://example.com/', '/presence/socket.io'],
  ['https://example.com/a/b//?tenant=7#there', 'https://example.com/?tenant=7', '/a/b/socket.io'],
  ['wss://example.com:8443/presence/', 'wss://example.com:8443/', '/presence/socket.io'],
  ['http://[::1]:3000/presence', 'http://[::1]:3000/', '/presence/socket.io'],
  ['//example.com/presence', '//example.com/', '/presence/socket.io'],
  ['localhost:3000/presence', 'localhost:3000/', '/presence/socket.io'],
  ['/presence', '/', '/presence/socket.io'],
  ['', '/', '/socket.io'],
])('"%s" is the server at %s, with its sockets under %s', (url, server, path) => {
  const address = readAddress(url);
  expect([address.server, address.path(0)]).toEqual([server, path]);
});

test('in Firefox, which holds back what goes where an attempt has failed, each attempt has a path of its own', () => {
  vi.stubGlobal('navigator', { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0' });
  const { path } = readAddress('https://example.com/presence');
  expect(path(0)).toBe('/presence/socket.io');
  const paths = [1, 2, 3, 4, 5, 6, 7].map(path);
  expect(new Set(paths).size).toBe(7);
  for (const one of paths) expect(one).toMatch(/^\/presence\/socket\.io\/[\d.e-]+$/);
  // A proxy may know no other.
  expect(path(8)).toBe('/presence/socket.io');
});

test('the server takes such a path like the usual one', async () => {
  vi.stubGlobal('navigator', { userAgent: 'Firefox/153.0' });
  let count = 0;
  const { userId } = await untilState(
    clients.connect(deployment.url, 'ada', {
      getToken: async () => {
        if (count++ === 0) throw new Error('not now');
        const { tokenFor } = await import('../support/client.ts');
        return tokenFor('ada');
      },
    }),
    'connected',
  );
  expect(userId).toBe('ada');
});

test.each(['/presence', '/presence/', '/presence/?line=1'])('a server that a proxy has under %s', async (path) => {
  await untilState(clients.connect((await mounted()) + path, 'ada'), 'connected');
});

describe('what can never succeed is told, with what to look at', () => {
  test('a path under which there is no server', async () => {
    const url = `${await mounted()}/elsewhere`;
    const client = clients.connect(url, 'ada');
    const message = `NOT_CONNECTED: ${url}/socket.io/ is no Rollcall server (404)`;
    expect(await firstError(client)).toBe(message);
    expect(client.connection.get()).toMatchObject({ status: 'connecting', error: { code: 'NOT_CONNECTED' } });
  });

  test('a server that takes polling alone', async () => {
    const { url } = await deployment.addWeb({ SOCKET_TRANSPORTS: 'polling' });
    expect(await firstError(clients.connect(url, 'ada'))).toMatch(/takes no WebSocket: SOCKET_TRANSPORTS\?$/);
  });

  test('a proxy that does not pass on upgrades', async () => {
    const target = new URL(deployment.url);
    const url = await listen(
      createServer((near) => {
        const far = connect(Number(target.port), target.hostname);
        for (const socket of [near, far]) socket.on('error', () => socket.destroy());
        near.on('close', () => far.destroy());
        near.on('data', (chunk) => far.write(chunk.toString('latin1').replace(/^Upgrade:.*\r\n/im, ''), 'latin1'));
        far.pipe(near);
      }),
    );
    expect(await firstError(clients.connect(url, 'ada'))).toMatch(/takes no WebSocket: .*Upgrade/);
  });

  test('an address where nobody is, once, however long that lasts; and it connects when somebody is', async () => {
    const port = String(await freePort());
    const url = `http://127.0.0.1:${port}`;
    const client = clients.connect(url, 'ada');
    const errors: string[] = [];
    client.onError(({ message }) => errors.push(message));
    expect(await firstError(client)).toMatch(/does not answer$/);
    await deployment.addWeb({ PORT: port });
    await untilState(client, 'connected', 40_000);
    expect(errors).toHaveLength(1);
  });
});
