import { createServer } from 'node:http';
import type { AddressInfo, Socket as TcpSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Server } from 'socket.io';
import { io, type Socket } from 'socket.io-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StatusChange } from '../../src/protocol/socket.ts';
import { Batches } from '../../src/web/sockets/batches.ts';
import { Frame, holdBack, sendGathered, together } from '../../src/web/sockets/frames.ts';
import type { PresenceServer, PresenceSocket, Viewer } from '../../src/web/sockets/types.ts';
import { withoutRooms } from '../../src/web/sockets/without-rooms.ts';

type Change = StatusChange & { detail?: { text: string } };

let server: PresenceServer;
const left: PresenceSocket[] = [];
const clients: Client[] = [];

beforeEach(async () => {
  left.length = 0;
  server = new Server(createServer(), {
    perMessageDeflate: false,
    adapter: withoutRooms((socket) => left.push(socket)),
  });
  await new Promise<void>((resolve) => server.httpServer.listen(0, '127.0.0.1', () => resolve()));
});
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.disconnect();
  await server.close();
});

/** Both ends of a connection, and what its client was told, in order. */
interface Client {
  socket: Socket;
  at: PresenceSocket;
  viewer: Viewer;
  heard: Change[];
  /** How many changes each event carried. */
  events: number[];
  until(holds: () => boolean): Promise<void>;
}

async function connect({ transport = 'websocket', batch = false } = {}): Promise<Client> {
  const { port } = server.httpServer.address() as AddressInfo;
  const heard: Change[] = [];
  const events: number[] = [];
  let wake = () => {};
  const hear = (changes: Change[]) => {
    heard.push(...changes);
    events.push(changes.length);
    wake();
  };
  const there = new Promise<PresenceSocket>((resolve) => server.once('connection', resolve));
  const socket = io(`http://127.0.0.1:${port}`, { transports: [transport], forceNew: true, reconnection: false });
  socket.on('user_status_change', (change: Change) => hear([change]));
  socket.on('user_status_changes', ({ changes }: { changes: Change[] }) => hear(changes));
  const at = await there;
  const until = async (holds: () => boolean) => {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const viewer = { socket: at, userId: null, watching: null, batch, gathered: null };
  const client = { socket, at, viewer, heard, events, until };
  clients.push(client);
  return client;
}

const changeOf = (userId: string, version: number, text?: string): Change => ({
  userId,
  status: 'active',
  lastSeen: null,
  version,
  ...(text === undefined ? {} : { detail: { text } }),
});
const frameOf = (change: Change) => Frame.of('user_status_change', change);
/** What is written to the network of a client from now on, by how. */
function writesTo({ at }: Client): string[] {
  const stream = (at.conn.transport as unknown as { socket: { _socket: Duplex } }).socket._socket;
  const writes: string[] = [];
  for (const name of ['_write', '_writev'] as const) {
    const write = stream[name] as (...args: unknown[]) => void;
    stream[name] = (...args: unknown[]) => {
      writes.push(name);
      write.apply(stream, args);
    };
  }
  return writes;
}
const add = (batches: Batches, to: Client[], change: Change) =>
  batches.add(
    to.map(({ viewer }) => viewer),
    change,
    JSON.stringify(change),
  );

test('an event of any length, in any script, is heard alike by WebSocket and by polling', async () => {
  const all = [await connect(), await connect(), await connect({ transport: 'polling' })];
  const changes = [0, 1, 20, 60, 200, 5000, 65_400, 65_536, 200_000].map((length, n) =>
    changeOf(`u${n}`, n, 'é€😀x'.repeat(length / 2)),
  );
  for (const change of changes) {
    const frame = frameOf(change);
    for (const { at } of all) frame.sendTo(at);
  }
  for (const { heard, until } of all) {
    await until(() => heard.length === changes.length);
    expect(heard).toEqual(changes);
  }
});

test('what is told to all and what is told to one are heard in the order in which they were said', async () => {
  const client = await connect();
  for (let n = 0; n < 300; n++) {
    const change = changeOf('ada', n);
    if (n % 3 === 0) client.at.emit('user_status_change', change);
    else frameOf(change).sendTo(client.at);
    if (n % 50 === 0) await client.until(() => client.heard.length > n / 2);
  }
  await client.until(() => client.heard.length === 300);
  expect(client.heard.map(({ version }) => version)).toEqual(Array.from({ length: 300 }, (_, n) => n));
});

test('what greets a client waits for the last of it and goes out in one write, in order; what is said to others meanwhile does not wait', async () => {
  const [client, other, polling] = [await connect(), await connect(), await connect({ transport: 'polling' })];
  const writes = writesTo(client);
  for (const { at } of [client, polling]) holdBack(at);
  for (const { at } of [client, other, polling]) at.emit('user_status_change', changeOf('ada', 1));
  await other.until(() => other.heard.length === 1);
  expect(writes).toEqual([]);
  for (const { at } of [client, polling]) together(at, () => at.emit('user_status_change', changeOf('ada', 2)));
  frameOf(changeOf('ada', 3)).sendTo(client.at);
  await client.until(() => client.heard.length === 3);
  await polling.until(() => polling.heard.length === 2);
  expect(client.heard.map(({ version }) => version)).toEqual([1, 2, 3]);
  expect(polling.heard.map(({ version }) => version)).toEqual([1, 2]);
  expect(writes.slice(0, 1)).toEqual(['_writev']);
  expect(writes.length).toBeLessThanOrEqual(2);
});

test('what happens in one moment goes to each client in one write, in the order in which it was said, whatever it is told of and by whichever transport', async () => {
  const all = [await connect(), await connect(), await connect(), await connect({ transport: 'polling' })];
  const [first, second, third, polling] = all as [Client, Client, Client, Client];
  const writes = all.slice(0, 3).map(writesTo);
  const tell = (change: Change, clients: Client[], together = true) => {
    const frame = frameOf(change);
    for (const { at } of clients) together ? frame.gatherFor(at) : frame.sendTo(at);
  };
  tell(changeOf('ada', 1), [first, second, polling]);
  tell(changeOf('bob', 2), [first, second, third, polling]);
  tell(changeOf('eve', 3), [second]);
  // Behind what waits for them, and at once for who waits for nothing.
  tell(changeOf('dan', 4, 'é€😀'), [first, polling], false);
  const heard = async (client: Client, versions: number[]) => {
    await client.until(() => client.heard.length >= versions.length);
    expect(client.heard.map(({ version }) => version)).toEqual(versions);
  };
  await heard(first, [1, 2, 4]);
  await heard(second, [1, 2, 3]);
  await heard(third, [2]);
  await heard(polling, [1, 2, 4]);
  expect(writes).toEqual([['_write'], ['_write'], ['_write']]);

  tell(changeOf('ada', 5), [first]);
  sendGathered();
  first.at.emit('user_status_change', changeOf('ada', 6));
  tell(changeOf('ada', 7), [first, second]);
  second.socket.disconnect();
  await heard(first, [1, 2, 4, 5, 6, 7]);
});

test('of a client that does not read all but two frames wait where slow readers are found, and it hears all in order once it reads', async () => {
  const client = await connect();
  const line = (client.socket.io.engine.transport as unknown as { ws: { _socket: TcpSocket } }).ws._socket;
  line.pause();
  const text = 'x'.repeat(256 * 1024);
  const count = 100;
  for (let n = 0; n < count; n++) {
    frameOf(changeOf('ada', n, text)).sendTo(client.at);
    await new Promise(setImmediate);
  }
  const { writeBuffer, transport } = client.at.conn as unknown as {
    writeBuffer: unknown[];
    transport: { socket: { _socket: TcpSocket } };
  };
  expect(writeBuffer.length).toBeGreaterThan(0);
  expect(transport.socket._socket.writableLength).toBeLessThan(2.5 * text.length);
  line.resume();
  await client.until(() => client.heard.length === count);
  expect(client.heard.map(({ version }) => version)).toEqual(Array.from({ length: count }, (_, n) => n));
});

test('who is gone is told nothing, and whoever leaves is gone at once', async () => {
  const [client, other] = [await connect(), await connect()];
  const { at } = client;
  const { id } = at;
  const gone = new Promise((resolve) => at.once('disconnect', resolve));
  client.socket.disconnect();
  await gone;
  expect(left.map(({ id }) => id)).toEqual([id]);
  const frame = frameOf(changeOf('ada', 1));
  for (const socket of [at, other.at]) frame.sendTo(socket);
  await other.until(() => other.heard.length === 1);
  expect(client.heard).toEqual([]);
});

test('a batch has the newest state of each user once, with the detail that was told last, alike for all who are told alike', async () => {
  const [first, second, third] = [
    await connect({ batch: true }),
    await connect({ batch: true }),
    await connect({ batch: true }),
  ];
  const batches = new Batches(() => 1);
  add(batches, [first, second, third], changeOf('ada', 1, 'busy'));
  add(batches, [first, second], changeOf('bob', 2));
  expect(first.viewer.gathered).toBe(second.viewer.gathered);
  add(batches, [third], changeOf('eve', 3));
  add(batches, [first, second, third], changeOf('ada', 4));
  add(batches, [second], changeOf('ada', 5, 'free'));
  const expected = [
    [changeOf('ada', 4, 'busy'), changeOf('bob', 2)],
    [changeOf('ada', 5, 'free'), changeOf('bob', 2)],
    [changeOf('ada', 4, 'busy'), changeOf('eve', 3)],
  ];
  for (const [n, { heard, events, until }] of [first, second, third].entries()) {
    await until(() => events.length > 0);
    expect(heard).toEqual(expected[n]);
    expect(events).toEqual([2]);
  }
  add(batches, [first], changeOf('ada', 6));
  await first.until(() => first.events.length === 2);
  expect(first.heard.at(-1)).toEqual(changeOf('ada', 6));
  batches.stop();
});
