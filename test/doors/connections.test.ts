import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Refused, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually, type WebProgram } from '../support/deployment.ts';
import { LOCK, samplesOf } from '../support/metrics.ts';

const MOST = 20;
/** Of Linux's many addresses of its own, one that is not 127.0.0.1; other systems have but that. */
const ELSEWHERE = process.platform === 'linux' ? '127.0.0.2' : null;

let rollcall: Deployment;
let direct: WebProgram;
let proxied: WebProgram;
let held: Held[] = [];

beforeAll(async () => {
  rollcall = await Deployment.start('connections', { webs: 0, env: { ...CALM, ...LOCK, MAX_CONNECTIONS: `${MOST}` } });
  direct = await rollcall.addWeb();
  proxied = await rollcall.addWeb({ TRUST_PROXY: '1' });
});
afterEach(async () => {
  const closing = held.filter(({ socket }) => !socket.destroyed).map(({ socket }) => once(socket, 'close'));
  for (const { socket } of held) socket.destroy();
  await Promise.all(closing);
  held = [];
});
afterAll(async () => {
  const faults = rollcall?.faults ?? [];
  await rollcall?.stop();
  expect(faults).toEqual([]);
});

/** A connection that speaks HTTP by hand. */
interface Held {
  socket: Socket;
  heard: string;
}

function open(web: WebProgram, localAddress?: string): Held {
  const { hostname, port } = new URL(web.url);
  const socket = connect({ host: hostname, port: Number(port), ...(localAddress ? { localAddress } : {}) });
  const one: Held = { socket, heard: '' };
  socket.on('error', () => {});
  socket.on('data', (data) => {
    one.heard += data.toString('latin1');
  });
  held.push(one);
  return one;
}

const GET = 'GET /healthz HTTP/1.1\r\nHost: rollcall\r\n\r\n';
const over = ({ socket, heard }: Held) => socket.destroyed || socket.readableEnded || heard.includes('HTTP/1.1 200');
const isOpen = ({ socket }: Held) => !socket.destroyed && !socket.readableEnded;

/** So many, one after the other, each of which is answered, or cut off, and stays for as long as it may. */
async function hold(times: number, web: WebProgram, localAddress?: string): Promise<Held[]> {
  const some: Held[] = [];
  for (let n = 0; n < times; n++) {
    const one = open(web, localAddress);
    one.socket.write(GET);
    await eventually(async () => over(one), Boolean);
    some.push(one);
  }
  return some;
}

const remaining = (of: Held[], count: number) =>
  eventually(
    async () => of.filter(isOpen).length,
    (left) => left === count,
  );

async function dropped(web: WebProgram, reason: string): Promise<number> {
  return (await samplesOf(web.url)).get(`rollcall_connections_dropped_total{reason="${reason}"}`) ?? 0;
}

/** As a proxy hands it on, which says who its client is. */
async function throughProxy(web: WebProgram, from: string, deviceId: string): Promise<TestClient> {
  const auth = { token: await tokenFor(`user-of-${from}`), deviceId, watch: [] };
  return await new TestClient(web.url, auth, { extraHeaders: { 'x-forwarded-for': from } }).welcomed();
}

describe('one address that opens connections and keeps them', () => {
  test('gets half of what a process takes; its own new ones take the place of its longest idle', async () => {
    const some = await hold(MOST, direct);
    expect(await remaining(some, MOST / 2)).toBe(MOST / 2);
    expect(some.map(isOpen)).toEqual([...Array(MOST / 2).fill(false), ...Array(MOST / 2).fill(true)]);
    const ada = await TestClient.connect(direct.url, 'ada', { watch: [] });
    expect(await ada.beat()).toMatchObject({ ok: true });
    ada.leave();
  });

  test.skipIf(ELSEWHERE === null)('leaves the other half to others', async () => {
    const some = await hold(MOST, direct);
    const others = await hold(MOST / 2, direct, ELSEWHERE ?? '');
    await remaining(others, MOST / 2);
    expect(await remaining(some, MOST / 2)).toBe(MOST / 2);
  });

  test('is not let in with more WebSockets than that, and nobody who is in has to go', async () => {
    const clients: TestClient[] = [];
    for (let n = 0; n < MOST / 2; n++) clients.push(await TestClient.connect(direct.url, `user-${n}`, { watch: [] }));
    const late = open(direct);
    late.socket.write(GET);
    await eventually(
      async () => isOpen(late),
      (open) => !open,
    );
    expect(late.heard).toBe('');
    for (const client of clients) expect(await client.beat()).toMatchObject({ ok: true });
    clients.pop()?.leave();
    // Who goes makes room.
    const next = await eventually(
      () => TestClient.connect(direct.url, 'next', { watch: [] }).catch(() => null),
      (client) => client !== null,
    );
    for (const client of [...clients, next]) client?.leave();
    // A scrape needs a connection as well.
    await eventually(
      () => dropped(direct, 'address').catch(() => 0),
      (count) => count > 0,
    );
  });
});

describe('a full process', () => {
  test.skipIf(ELSEWHERE === null)(
    'gives up what is idle for newcomers, and nothing that is being answered',
    async () => {
      const asking = await Promise.all(
        Array.from({ length: 3 }, async () => {
          const one = open(direct);
          const token = await tokenFor('ada');
          one.socket.write(
            `POST /users/status HTTP/1.1\r\nHost: rollcall\r\nAuthorization: Bearer ${token}\r\n` +
              'Content-Type: application/json\r\nContent-Length: 19\r\n\r\n{"status":',
          );
          return one;
        }),
      );
      const before = await hold(MOST / 2 - 3, direct);
      const others = await hold(MOST / 2, direct, ELSEWHERE ?? '');
      expect([before, others].map((some) => some.filter(isOpen).length)).toEqual([MOST / 2 - 3, MOST / 2]);
      // From the first address, which has its half, and from the other: each is let in for one of its own.
      const more = [...(await hold(3, direct)), ...(await hold(3, direct, ELSEWHERE ?? ''))];
      await remaining(more, 6);
      expect(before.slice(0, 4).map(isOpen)).toEqual([false, false, false, true]);
      expect(others.slice(0, 4).map(isOpen)).toEqual([false, false, false, true]);
      for (const one of asking) {
        one.socket.write('"active"}');
        await eventually(
          async () => one.heard,
          (heard) => heard.includes('HTTP/1.1 200'),
        );
      }
    },
  );

  test('has a place for whoever comes while connections that say nothing hold it', async () => {
    const silent = Array.from({ length: MOST }, () => open(direct));
    await Promise.all(silent.map(({ socket }) => once(socket, 'connect')));
    const ada = await TestClient.connect(direct.url, 'ada', { watch: [] });
    expect(await ada.beat()).toMatchObject({ ok: true });
    ada.leave();
  });
});

describe('behind a proxy that is believed', () => {
  test('the proxy may have all connections: its address is nobody’s', async () => {
    const some = await hold(MOST, proxied);
    expect(some.filter(isOpen)).toHaveLength(MOST);
    // And what is idle of them makes room.
    const ada = await throughProxy(proxied, '192.0.2.1', 'one');
    expect(await ada.beat()).toMatchObject({ ok: true });
    await remaining(some, MOST - 1);
    ada.leave();
  });

  test('a client gets half of it by WebSocket, and others the rest', async () => {
    const clients: TestClient[] = [];
    for (let n = 0; n < MOST / 2; n++) clients.push(await throughProxy(proxied, '192.0.2.2', `device-${n}`));
    await expect(throughProxy(proxied, '192.0.2.2', 'one-more')).rejects.toThrow();
    for (let n = 0; n < MOST / 2 - 1; n++) clients.push(await throughProxy(proxied, '192.0.2.3', `device-${n}`));
    for (const client of clients) expect(await client.beat()).toMatchObject({ ok: true });
    clients.shift()?.leave();
    const next = await eventually(
      () => throughProxy(proxied, '192.0.2.2', 'one-more').catch((_: Refused) => null),
      (client) => client !== null,
    );
    for (const client of [...clients, next]) client?.leave();
  });

  test('a stream of events counts like a WebSocket, for as long as it is read', async () => {
    const read = async (userId: string, from = '192.0.2.4') => {
      const leaving = new AbortController();
      const headers = { authorization: `Bearer ${await tokenFor(userId)}`, 'x-forwarded-for': from };
      const answer = await fetch(`${proxied.url}/events?watch=ada`, { headers, signal: leaving.signal });
      return { answer, leave: () => leaving.abort() };
    };
    /** Those of before may still be on their way out. */
    const letIn = async (userId: string) => {
      const one = await eventually(
        () => read(userId).catch(() => null),
        (reader) => reader?.answer.status === 200,
      );
      return one ?? expect.unreachable();
    };
    const readers: Awaited<ReturnType<typeof read>>[] = [];
    for (let n = 0; n < MOST / 2 - 1; n++) readers.push(await letIn(`reader-${n}`));
    const socket = await throughProxy(proxied, '192.0.2.4', 'one');
    const { answer } = await read('one-more');
    expect([answer.status, Object(await answer.json()).code]).toEqual([429, 'RATE_LIMITED']);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const elsewhere = await read('one-more', '192.0.2.5');
    expect(elsewhere.answer.status).toBe(200);
    readers.shift()?.leave();
    for (const one of [...readers, elsewhere, await letIn('one-more'), socket]) one.leave();
  });
});
