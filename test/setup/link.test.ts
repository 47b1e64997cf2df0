import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { layCable } from '../support/cable.ts';
import { eventually } from '../support/eventually.ts';
import { Link } from '../support/link.ts';

/** Says what it hears, and whether it goes. */
class End {
  readonly socket: Socket;
  heard = '';
  gone = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1').on('data', (text) => {
      this.heard += text;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.gone = true;
    });
  }
}

let server: Server;
let port: number;
const behind: End[] = [];
const opened: { close(): Promise<void> }[] = [];
const clients: End[] = [];

beforeEach(async () => {
  server = createServer((socket) => behind.push(new End(socket)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterEach(async () => {
  for (const { socket } of [...clients.splice(0), ...behind.splice(0)]) socket.destroy();
  for (const one of opened.splice(0)) await one.close();
  server.close();
});

/** Both ends of a connection over the link, which has carried something. */
async function joined(from: number, hello = 'hello '): Promise<{ near: End; far: End }> {
  const near = new End(connect(from, '127.0.0.1'));
  clients.push(near);
  near.socket.write(hello);
  const [far] = await eventually(
    () => behind.filter(({ heard }) => heard.startsWith(hello)),
    (found) => found.length === 1,
  );
  return { near, far: far as End };
}

async function lay(): Promise<Link> {
  const link = await Link.to(port);
  opened.push(link);
  return link;
}

async function linked() {
  const link = await lay();
  return { link, ...(await joined(link.port)) };
}

const heard = (end: End, text: string) =>
  eventually(
    () => end.heard,
    (all) => all === text,
  );

test('a cut link carries nothing and tells nobody, not even of who went; mended it carries what was held back', async () => {
  const { link, near, far } = await linked();
  link.cut();
  // By the time another link has carried something there and back, this one would have.
  const other = await lay();
  near.socket.write('and ');
  far.socket.write('back');
  const through = await joined(other.port, 'through ');
  far.socket.write(' again');
  through.far.socket.end();
  await eventually(() => through.near.gone, Boolean);
  expect([near, far].map(({ heard: all, gone }) => [all, gone])).toEqual([
    ['', false],
    ['hello ', false],
  ]);
  link.mend();
  await heard(far, 'hello and ');
  await heard(near, 'back again');

  link.cut();
  near.socket.destroy();
  await once(near.socket, 'close');
  const meanwhile = await joined(other.port, 'meanwhile ');
  meanwhile.near.socket.end();
  await eventually(() => meanwhile.far.gone, Boolean);
  expect(far.gone).toBe(false);
  link.mend();
  await eventually(() => far.gone, Boolean);
});

test('who connects over a cut link is let through once it is mended', async () => {
  const { link } = await linked();
  link.cut();
  const near = new End(connect(link.port, '127.0.0.1'));
  clients.push(near);
  near.socket.write('late');
  await once(near.socket, 'connect');
  expect(behind).toHaveLength(1);
  link.mend();
  await eventually(
    () => behind.map((end) => end.heard),
    (all) => all.includes('late'),
  );
});

test('what a slow link carries comes late and in order', async () => {
  const { link, near, far } = await linked();
  link.delay(100);
  const from = performance.now();
  const words = Array.from({ length: 50 }, (_, n) => `${n} `);
  for (const word of words) near.socket.write(word);
  await heard(far, `hello ${words.join('')}`);
  expect(performance.now() - from).toBeGreaterThanOrEqual(99);
  expect(link.underWay).toBe(0);
});

test('a link that refuses breaks what is there and lets nobody through until it is mended', async () => {
  const { link, near, far } = await linked();
  link.refuse();
  await eventually(() => near.gone && far.gone, Boolean);
  const refused = new End(connect(link.port, '127.0.0.1'));
  await eventually(() => refused.gone, Boolean);
  expect(behind).toHaveLength(1);
  link.mend();
  await joined(link.port, 'again ');
});

test('what a link forgot stays half-open, whatever becomes of it later, and new connections work', async () => {
  const { link, near, far } = await linked();
  link.forget();
  near.socket.write('lost');
  await joined(link.port, 'new ');
  link.mend();
  await joined(link.port, 'newer ');
  expect([near.gone, far.gone, far.heard]).toEqual([false, false, 'hello ']);
});

test('the lines of a cable are cut each by itself, and an attempt over one that is cut fails', async () => {
  const cable = await layCable(`http://127.0.0.1:${port}`);
  opened.push(cable);
  const from = Number(new URL(cable.url('')).port);
  const [a, b] = await Promise.all(['a', 'b'].map((line) => joined(from, `GET /?line=${line} `)));
  cable.cut('a');
  a?.near.socket.write('held');
  b?.near.socket.write('carried');
  await heard(b?.far as End, 'GET /?line=b carried');
  const attempt = new End(connect(from, '127.0.0.1'));
  attempt.socket.write('GET /?line=a ');
  await eventually(() => attempt.gone, Boolean);
  expect(a?.far.heard).toBe('GET /?line=a ');
  cable.mend('a');
  await heard(a?.far as End, 'GET /?line=a held');
  cable.break('a');
  await eventually(() => a?.near.gone && a.far.gone, Boolean);
  expect([b?.near.gone, b?.far.gone]).toEqual([false, false]);
});
