import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { RudeClient } from '../support/rude-client.ts';

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
  // What were left open would be waited for longer.
  expect(performance.now() - begun).toBeLessThan(12_000);
  expect(client.closed[0]).toMatchObject({ reason: 'draining', reconnect: true });
  expect(web.lines.filter((line) => /left behind|failed while stopping/.test(line))).toEqual([]);
  for (const each of [client, poller]) each.leave();
  expect(rollcall.faults).toEqual([]);
});

test('clients that never end their closing handshake hold no deploy up, and nothing is left behind', async () => {
  const web = await rollcall.addWeb();
  const rude = await Promise.all(
    ['bob', 'carol', 'dave'].map(async (id) => RudeClient.connect(web.url, await tokenFor(id))),
  );
  const silent = await RudeClient.connect(web.url, null);
  const begun = performance.now();
  web.kill('SIGTERM');
  await Promise.all(rude.map((client) => client.hears('42["session_closed",{"reason":"draining"')));
  const told = performance.now();
  await Promise.all(rude.map((client) => client.isCut()));
  // Two seconds, and what a busy machine adds.
  expect(performance.now() - told).toBeLessThan(4000);
  await silent.isCut();
  expect((await web.exited).code).toBe(0);
  expect(performance.now() - begun).toBeLessThan(12_000);
  const said = web.lines.map((line): { level: string; msg: string } => JSON.parse(line));
  // What it has to say of its stores and of a busy machine is no word about its end.
  const ofItself = said.filter(({ msg }) => !/^(Redis |PostgreSQL |The level of what is shed)/.test(msg));
  expect(ofItself.map(({ level, msg }) => [level, msg])).toEqual([
    ['info', `listening at ${web.url}`],
    ['info', 'started'],
    ['info', 'stopping'],
    ['info', 'Draining: sessions are handed over'],
    ['info', 'stopped'],
  ]);
});

test('a client that is signed out, replaced or told to come back with a fresh token is cut in the same time', async () => {
  const web = await rollcall.addWeb();
  const out = await RudeClient.connect(web.url, await tokenFor('erin'));
  const short = await RudeClient.connect(web.url, await tokenFor('frank', { expiresInSeconds: 3 }));
  const other = await TestClient.connect(web.url, 'erin');
  await other.socket.emitWithAck('logout', { everywhere: true });
  await out.hears('"reason":"logout"');
  const loggedOut = performance.now();
  await out.isCut();
  expect(performance.now() - loggedOut).toBeLessThan(4000);
  await short.hears('"reason":"token_expired"');
  const expired = performance.now();
  await short.isCut();
  expect(performance.now() - expired).toBeLessThan(4000);
});
