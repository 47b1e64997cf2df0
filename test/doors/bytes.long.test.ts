import { type EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClientEvent } from '../../src/protocol/client-events.ts';
import type { SocketError } from '../../src/protocol/socket.ts';
import { TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';

const KIB = 1024;
let rollcall: Deployment;
let calls = 0;
/** Somebody whom no other test knows. */
const somebody = (name: string) => `${name}-${calls++}`;

beforeAll(async () => {
  rollcall = await Deployment.start('bytes', { env: CALM });
});
afterAll(async () => {
  const faults = rollcall?.faults ?? [];
  await rollcall?.stop();
  expect(faults).toEqual([]);
});

type Said = { ok: boolean; error?: SocketError };
const say = (client: TestClient, event: string, payload: unknown) =>
  (client.socket.emitWithAck as (name: string, said: unknown) => Promise<Said>).call(client.socket, event, payload);
const TOO_LARGE = { ok: false, error: { code: 'PAYLOAD_TOO_LARGE', message: expect.stringContaining('16 KiB') } };
const RATE_LIMITED = { reason: 'rate_limited', reconnect: true, afterMs: 10_000 };

/** A list as large as the contract lets it be. */
const LIST = { userIds: Array.from({ length: 1000 }, (_, n) => `${n}`.padStart(128, 'w')) };

/** Sends a packet as it stands. */
const write = (client: TestClient, packet: string) => client.socket.io.engine.write(packet);

/** A packet of an event of so many bytes, filled up with white space, and what is answered to it. */
async function filled(client: TestClient, bytes: number): Promise<Said> {
  const id = 7_000_000 + calls++;
  const answered = new Promise<Said>((resolve) => {
    const { decoder } = client.socket.io as unknown as { decoder: EventEmitter };
    decoder.on('decoded', (packet: { type: number; id: number; data: Said[] }) => {
      if (packet.id === id) resolve(packet.data[0] as Said);
    });
  });
  const packet = `2${id}["set_status",{"status":"active"}]`;
  write(client, `${packet.slice(0, -1)}${' '.repeat(bytes - packet.length)}]`);
  return await answered;
}

describe('an event', () => {
  const large = 'x'.repeat(16 * KIB);

  test.each<[ClientEvent, object]>([
    ['heartbeat', { state: 'active', large }],
    ['set_status', { status: 'inactive', large }],
    ['set_detail', { text: large }],
    ['logout', { large }],
    ['authenticate', { token: large }],
    ['join_conversation', { conversationId: large }],
    ['leave_conversation', { conversationId: large }],
    ['start_indicator', { conversationId: 'c', kind: 'typing', large }],
    ['stop_indicator', { conversationId: 'c', kind: 'typing', large }],
  ])('of more than 16 KiB is not read: %s', async (event, payload) => {
    const name = somebody('ada');
    const ada = await TestClient.connect(rollcall.url, name, { watch: [name] });
    expect(await say(ada, event, payload)).toEqual(TOO_LARGE);
    (ada.socket.emit as (name: string, said: unknown) => void).call(ada.socket, event, payload);
    expect(await ada.beat()).toMatchObject({ ok: true });
    expect(ada.closed).toEqual([]);
    expect(ada.statuses(name)).not.toContain('inactive');
    ada.leave();
  });

  test('of 16 KiB is read, and of a byte more is not, whatever the bytes are', async () => {
    const ada = await TestClient.connect(rollcall.url, somebody('ada'), { watch: [] });
    expect(await filled(ada, 16 * KIB)).toMatchObject({ ok: true, status: 'active' });
    expect(await filled(ada, 16 * KIB + 1)).toEqual(TOO_LARGE);
    // Three bytes each.
    expect(await say(ada, 'set_status', { status: 'active', more: '€'.repeat(5500) })).toEqual(TOO_LARGE);
    ada.leave();
  });

  test('that carries a list may be as large as any packet', async () => {
    const ada = await TestClient.connect(rollcall.url, somebody('ada'), { watch: LIST.userIds });
    expect(ada.ready?.users).toHaveLength(1000);
    expect(await say(ada, 'watch', LIST)).toMatchObject({ ok: true });
    expect(await say(ada, 'unwatch', LIST)).toEqual({ ok: true });
    ada.leave();
  });

  test('is not taken for another by the way its name is written', async () => {
    const name = somebody('ada');
    const ada = await TestClient.connect(rollcall.url, name, { watch: [name] });
    const more = `"more":"${large}"`;
    write(ada, `2["set_st\\u0061tus",{"status":"inactive",${more}}]`);
    write(ada, `2["watch\\u0000",{"status":"inactive",${more}}]`);
    write(ada, `2/,["set_status",{"status":"inactive",${more}}]`);
    write(ada, `2[ "set_status",{"status":"inactive",${more}}]`);
    expect(await ada.beat()).toMatchObject({ ok: true });
    expect(await ada.watch(name)).toMatchObject({ users: [{ userId: name, status: 'active' }] });
    expect(ada.statuses(name)).not.toContain('inactive');
    ada.leave();
  });
});

describe('a connection that sends more than a mebibyte in ten seconds', () => {
  const list = `2["unwatch",{"userIds":["${'w'.repeat(128)}"]}${' '.repeat(200 * KIB)}]`;

  test.each([['websocket'], ['polling']])('is closed, and others of its user are not: %s', async (transport) => {
    const name = somebody('loud');
    const other = await TestClient.connect(rollcall.url, name, { watch: [] });
    const loud = await new TestClient(
      rollcall.url,
      { token: await tokenFor(name), watch: [] },
      { transports: [transport] },
    ).welcomed();
    for (let n = 0; n < 5; n++) write(loud, list);
    expect(await loud.beat()).toMatchObject({ ok: true });
    for (let n = 0; n < 5; n++) write(loud, list);
    expect(await loud.isClosed()).toEqual(RATE_LIMITED);
    await loud.isDisconnected();
    expect(await other.beat()).toMatchObject({ ok: true });
    other.leave();
  });

  test('is so whatever the frames are: what nobody understands, bytes, answers to pings', async () => {
    const junk: [string, (client: TestClient) => void][] = [
      ['unknown', (client) => write(client, `2["no_such_event","${'x'.repeat(15 * KIB)}"]`)],
      ['unread', (client) => write(client, `2["no_such_event","${'x'.repeat(200 * KIB)}"]`)],
      ['answers', (client) => write(client, `31["${'x'.repeat(15 * KIB)}"]`)],
      ['wide', (client) => write(client, `2["no_such_event","${'€'.repeat(5 * KIB)}"]`)],
      ['bytes', (client) => void (client.socket as unknown as Emitter).emit('no_such_event', Buffer.alloc(200 * KIB))],
      // Engine.IO's own, which its client has no way to say.
      ['pongs', (client) => raw(client).send(`3${'x'.repeat(200 * KIB)}`)],
    ];
    for (const [what, send] of junk) {
      const client = await TestClient.connect(rollcall.url, somebody(what), { watch: [] });
      for (let n = 0; n < 100 && client.closed.length === 0; n++) send(client);
      expect([what, await client.isClosed()]).toEqual([what, RATE_LIMITED]);
    }
  });

  test('is so before it has said who it is', async () => {
    const socket = new WebSocket(`${rollcall.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    const closed = once(socket, 'close');
    await once(socket, 'open');
    for (let n = 0; n < 6; n++) socket.send(`40{"token":"a.b.${'x'.repeat(200 * KIB)}"}`);
    await closed;
  });
});

interface Emitter {
  emit(event: string, said: unknown): void;
}
interface Raw {
  send(frame: string): void;
  ping?(): void;
}

/** The WebSocket of a client. */
const raw = (client: TestClient) => (client.socket.io.engine.transport as unknown as { ws: Raw }).ws;

test('more than five thousand pings or pongs close a connection like any other frames', async () => {
  const pongs = await TestClient.connect(rollcall.url, somebody('pongs'), { watch: [], heartbeat: 'pong' });
  for (let n = 0; n < 6000; n++) raw(pongs).send('3');
  expect(await pongs.isClosed()).toEqual(RATE_LIMITED);
  const pings = await TestClient.connect(rollcall.url, somebody('pings'), { watch: [] });
  expect(raw(pings).ping).toBeTypeOf('function');
  for (let n = 0; n < 6000; n++) raw(pings).ping?.();
  expect(await pings.isClosed()).toEqual(RATE_LIMITED);
});

test('a user may send two mebibytes over all connections, and a neighbour notices nothing', async () => {
  const name = somebody('many');
  const clients = await Promise.all(
    Array.from({ length: 4 }, () => TestClient.connect(rollcall.url, name, { watch: [] })),
  );
  const neighbour = await TestClient.connect(rollcall.url, somebody('neighbour'), { watch: [] });
  const list = `2["unwatch",{"userIds":["a"]}${' '.repeat(150 * KIB)}]`;
  // Of one a mebibyte is not reached by far.
  for (const client of clients) for (let n = 0; n < 5; n++) write(client, list);
  await Promise.race(clients.map((client) => client.isClosed()));
  const [first] = clients.flatMap(({ closed }) => closed);
  expect(first).toEqual(RATE_LIMITED);
  expect(await neighbour.beat()).toMatchObject({ ok: true });
  for (const client of [...clients, neighbour]) client.leave();
});

describe('bodies', () => {
  interface Sent {
    token: string;
    bytes: number;
    path?: string;
    body?: string;
    chunked?: boolean;
  }
  const QUERY = '{"userIds":["ada"]}';
  async function send({ token, bytes, path = '/users/status/query', body = QUERY, chunked = false }: Sent) {
    const text = body + ' '.repeat(bytes - body.length);
    const response = await fetch(new URL(path, rollcall.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(chunked ? { body: new Blob([text]).stream(), duplex: 'half' } : { body: text }),
    } as RequestInit);
    return { status: response.status, code: ((await response.json()) as { code?: string }).code, response };
  }

  test.each([[false], [true]])(
    'of a token make a mebibyte in ten seconds, of a user two (chunked: %s)',
    async (chunked) => {
      const name = somebody('uploader');
      const tokens = await Promise.all(['a', 'b', 'c'].map((jti) => tokenFor(name, { jti })));
      const done: number[] = [];
      for (const token of tokens) {
        const answers = [];
        for (let n = 0; n < 5; n++) answers.push(await send({ token, bytes: 250 * KIB, chunked }));
        done.push(answers.filter(({ status }) => status === 200).length);
        expect(answers.at(-1)).toMatchObject({ status: 429, code: 'RATE_LIMITED' });
        expect(Number(answers.at(-1)?.response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      }
      // What one token was refused may have been counted for its user.
      expect(done[0]).toBe(4);
      expect(done[1]).toBeGreaterThanOrEqual(3);
      expect(done[2]).toBe(0);
      const service = await tokenFor('backend', { scope: 'presence:read' });
      for (let n = 0; n < 10; n++) expect((await send({ token: service, bytes: 250 * KIB, chunked })).status).toBe(200);
    },
  );

  test('and what is sent over sockets are one count', async () => {
    const name = somebody('both');
    const clients = await Promise.all(
      Array.from({ length: 2 }, () => TestClient.connect(rollcall.url, name, { watch: [] })),
    );
    for (const client of clients) {
      for (let n = 0; n < 4; n++) write(client, `2["unwatch",{"userIds":["a"]}${' '.repeat(240 * KIB)}]`);
      expect(await client.beat()).toMatchObject({ ok: true });
    }
    const token = await tokenFor(name);
    const answers = [];
    for (let n = 0; n < 3; n++) answers.push((await send({ token, bytes: 100 * KIB })).status);
    expect(answers).toEqual([200, 429, 429]);
    for (const client of clients) client.leave();
  });

  test('of a status are 4 KiB at most, and staying active never costs any of this', async () => {
    const token = await tokenFor(somebody('alive'));
    const status = (bytes: number, said = 'active') =>
      send({ token, bytes, path: '/users/status', body: `{"status":"${said}"}` });
    expect(await status(4 * KIB + 1)).toMatchObject({ status: 413, code: 'PAYLOAD_TOO_LARGE' });
    for (let n = 0; n < 300; n += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => status(4 * KIB)));
      expect(answers.map((answer) => answer.status)).toEqual(Array(50).fill(200));
    }
    expect((await status(4 * KIB, 'inactive')).status).toBe(200);
    expect((await send({ token, bytes: 200 * KIB })).status).toBe(200);
  });

  test.each([
    ['that say they are larger than any may be', 'Content-Length: 10000000000'],
    ['without an end', 'Transfer-Encoding: chunked'],
  ])('%s are not read to their end for somebody who is refused', async (_what, header) => {
    const { hostname, port, host } = new URL(rollcall.url);
    for (const [method, path] of [
      ['POST', '/users/status'],
      ['POST', '/users/status/query'],
      ['GET', '/healthz'],
    ]) {
      const socket = connect(Number(port), hostname);
      let heard = '';
      socket.on('data', (data) => {
        heard += data.toString('latin1');
      });
      socket.on('error', () => {});
      const closed = once(socket, 'close');
      socket.write(
        `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n${header}\r\n\r\n`,
      );
      socket.write(header.startsWith('Transfer') ? `10000\r\n${'x'.repeat(0x10000)}\r\n` : 'x'.repeat(0x10000));
      await closed;
      expect([path, heard.slice(0, 12)]).toEqual([path, `HTTP/1.1 ${path === '/healthz' ? 200 : 401}`]);
      expect(heard.toLowerCase()).toContain('connection: close');
    }
  });
});
