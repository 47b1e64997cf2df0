import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';
import { expect, test } from 'vitest';
import { Pings } from '../../src/web/sockets/pings.ts';
import type { PresenceServer } from '../../src/web/sockets/types.ts';

const EVERY_MS = 10_000;
/** Longer than a busy machine holds up a client that does answer. */
const ANSWER_LIMIT_MS = 4000;
const LOOK_MS = 1000;
/** Of a machine that does other things. */
const SLACK_MS = 3000;

test('whoever is connected is pinged in time again and again, by WebSocket and by polling, and who does not answer is closed as silent', async () => {
  const server: PresenceServer = new Server(createServer(), { pingInterval: EVERY_MS, pingTimeout: ANSWER_LIMIT_MS });
  await new Promise<void>((resolve) => server.httpServer.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.httpServer.address() as AddressInfo;
  const pings = new Pings(server, EVERY_MS);
  pings.start();
  const connect = async (transport: string) => {
    const there = new Promise<void>((resolve) => {
      server.once('connection', (socket) => {
        pings.take(socket);
        resolve();
      });
    });
    const client = io(`http://127.0.0.1:${port}`, { transports: [transport], forceNew: true, reconnection: false });
    await there;
    return client;
  };
  const answering = [await connect('websocket'), await connect('polling')] as const;
  const timers = [...server.of('/').sockets.values()].map(
    ({ conn }) => (conn as object as { pingIntervalTimer: unknown }).pingIntervalTimer,
  );
  expect(timers).toEqual([null, null]);
  const times = await Promise.all(
    answering.map(async (client) => {
      const at = [performance.now()];
      while (at.length < 3) {
        await new Promise<void>((resolve) => client.io.engine.once('ping', resolve));
        at.push(performance.now());
      }
      return at;
    }),
  );
  for (const [came = 0, first = 0, second = 0] of times) {
    expect(first - came).toBeLessThan(EVERY_MS + SLACK_MS);
    expect(second - first).toBeGreaterThan(EVERY_MS - LOOK_MS);
    expect(second - first).toBeLessThan(EVERY_MS + LOOK_MS + SLACK_MS);
  }
  expect(answering.every((client) => client.connected)).toBe(true);

  const [silent] = answering;
  const reason = new Promise((resolve) => {
    for (const socket of server.of('/').sockets.values()) socket.once('disconnect', resolve);
  });
  const line = (silent.io.engine.transport as unknown as { ws: { _socket: Socket } }).ws._socket;
  line.pause();
  expect(await reason).toBe('ping timeout');
  line.destroy();
  pings.stop();
  for (const client of answering) client.disconnect();
  await server.close();
});
