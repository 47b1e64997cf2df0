import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { io } from 'socket.io-client';

/**
 * Somebody with bad intentions and one address: TARGET is attacked, TOKEN is a good one, ADDRESS stands in
 * X-Forwarded-For. Does everything at once, and says what came of it in one line of JSON.
 */
const { TARGET: url = '', TOKEN: token = '', ADDRESS: address = '' } = process.env;
const { hostname, port } = new URL(url);
const HANDSHAKES = 10_000;
const AT_ONCE = 40;
const HEARTBEATS = 50_000;
const SLOW = 5000;
const SLOW_FOR_MS = 30_000;
const LONGEST_MS = 60_000;

const tally: Record<string, number> = {};
const note = (what: string) => {
  tally[what] = (tally[what] ?? 0) + 1;
};

/** A short masked text frame. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const mask = randomBytes(4);
  for (const [n, byte] of payload.entries()) payload[n] = byte ^ (mask[n % 4] ?? 0);
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, payload]);
}

function badHandshake(n: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let heard = '';
    let asked = false;
    const end = (what: string) => {
      note(what);
      socket.removeAllListeners('data').destroy();
    };
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.setTimeout(20_000, () => end('handshake unanswered'));
    socket.on('data', (data) => {
      heard += data.toString('latin1');
      if (heard.startsWith('HTTP/1.1 429')) return end('handshake cut off');
      if (!asked && heard.includes('"sid"')) {
        asked = true;
        socket.write(frame(`40{"token":"bad.token.${n}"}`));
      }
      const code = /44\{.*"code":"(\w+)"/.exec(heard)?.[1];
      if (code !== undefined) end(`handshake ${code}`);
    });
    socket.write(
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${hostname}:${port}\r\nX-Forwarded-For: ${address}\r\n` +
        `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    );
  });
}

async function badHandshakes(): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < HANDSHAKES) await badHandshake(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

async function heartbeats(): Promise<void> {
  const socket = io(url, { auth: { token, watch: [] }, transports: ['websocket'], reconnection: false });
  await new Promise<void>((resolve) => {
    socket.on('session_closed', ({ reason }) => note(`heartbeats ${reason}`));
    socket.once('disconnect', () => resolve());
    socket.once('connect_error', (error: Error & { data?: { code: string } }) => {
      note(`heartbeats ${error.data?.code ?? 'cut off'}`);
      resolve();
    });
    socket.once('ready', () => {
      for (let n = 0; n < HEARTBEATS; n++) socket.emit('heartbeat');
    });
  });
}

async function slowConnections(): Promise<void> {
  const open = new Set<Socket>();
  for (let n = 0; n < SLOW; n++) {
    const socket = connect(Number(port), hostname);
    open.add(socket);
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => {
      open.delete(socket);
      note('slow connection closed');
    });
    socket.write(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${address}\r\nX-Slow: `);
    if (n % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const until = performance.now() + SLOW_FOR_MS;
  while (open.size > 0 && performance.now() < until) {
    for (const socket of open) socket.write('x');
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  tally['slow connection still open'] = open.size;
  for (const socket of open) socket.destroy();
}

const begun = performance.now();
const timed = async (what: string, doing: Promise<void>) => {
  await doing;
  tally[`${what} ms`] = Math.round(performance.now() - begun);
};
const all = Promise.all([
  timed('handshakes', badHandshakes()),
  timed('heartbeats', heartbeats()),
  timed('slow connections', slowConnections()),
]);
await Promise.race([all, new Promise((resolve) => setTimeout(resolve, LONGEST_MS))]);
console.log(JSON.stringify(tally));
process.exit(0);
