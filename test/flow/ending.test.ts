import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestClient } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

let rollcall: Deployment;
const open: Socket[] = [];

beforeAll(async () => {
  rollcall = await Deployment.start('ending', { webs: 0, env: CALM });
});
afterAll(async () => {
  for (const socket of open) socket.destroy();
  await rollcall?.stop();
});

async function connectionTo(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  open.push(socket);
  await once(socket, 'connect');
  return socket;
}

/** Asks again as soon as it is answered, whatever it is answered. */
async function neverRests(url: string, path: string): Promise<{ answers(): number }> {
  const socket = await connectionTo(url);
  let answers = 0;
  const ask = () => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n`);
  socket.on('data', () => {
    answers++;
    ask();
  });
  ask();
  return { answers: () => answers };
}

test('a process that is told to end is gone within seconds, whatever is still open to it', async () => {
  const web = await rollcall.addWeb();
  const client = await TestClient.connect(web.url, 'ada', { watch: [] });
  const poller = new TestClient(web.url, {}, { transports: ['polling'], reconnection: true });
  const eager = await Promise.all(
    ['/healthz', '/nowhere', '/socket.io/?EIO=4&transport=polling'].map((path) => neverRests(web.url, path)),
  );
  (await connectionTo(web.url)).write('GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  (await connectionTo(web.url)).write('POST /users/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{');
  await connectionTo(web.url);
  await eventually(
    () => eager.map(({ answers }) => answers()),
    (counts) => counts.every((count) => count > 10),
  );
  const begun = performance.now();
  web.kill('SIGTERM');
  expect((await web.exited).code).toBe(0);
  expect(performance.now() - begun).toBeLessThan(6000);
  expect(client.closed[0]).toMatchObject({ reason: 'draining', reconnect: true });
  expect(web.lines.filter((line) => /left behind|failed while stopping/.test(line))).toEqual([]);
  for (const each of [client, poller]) each.leave();
  expect(rollcall.faults).toEqual([]);
});
