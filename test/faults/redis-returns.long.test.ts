import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { connectRedis } from '../../src/redis/connect.ts';
import { Refused, TestClient, tokenFor } from '../support/client.ts';
import { withPrivateRedis } from './outage.ts';

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;

test('a Redis that loads its data for a moment is used soon after, however long it thinks that takes', async () => {
  const loadsUntil = performance.now() + 100;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      // One command after the other, each an array of RESP.
      for (const command of data.toString('latin1').split(/(?=\*\d+\r\n)/)) {
        const loading = performance.now() < loadsUntil ? 'loading:1\r\nloading_eta_seconds:8' : 'loading:0';
        const isInfo = /^\*1\r\n\$4\r\ninfo\r\n/i.test(command);
        socket.write(isInfo ? bulk(`# Persistence\r\n${loading}\r\n`) : '+OK\r\n');
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const settings = { urls: [`redis://127.0.0.1:${port}`], cluster: false, tlsRejectUnauthorized: true };
  const redis = connectRedis(settings, 'blocking');
  redis.on('error', () => {});
  onTestFinished(() => {
    redis.disconnect();
    server.close();
  });
  const from = performance.now();
  await once(redis, 'ready');
  expect(performance.now() - from).toBeLessThan(4000);
});

test('who comes to an audience of everyone while Redis is away is told to come again, and nothing is logged as a fault', async () => {
  const { rollcall, redis } = await withPrivateRedis('nobody let in');
  await redis.shutdown();
  const refusal = await new TestClient(rollcall.url, { token: await tokenFor('observer', { scope: 'presence:read' }) })
    .welcomed()
    .catch((error) => error);
  expect(refusal).toBeInstanceOf(Refused);
  expect(refusal).toMatchObject({ code: 'UNAVAILABLE' });
  expect(refusal.retryAfterMs).toBeGreaterThan(0);
  expect(rollcall.faults).toEqual([]);
}, 180_000);
