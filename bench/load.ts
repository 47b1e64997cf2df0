import { SignJWT } from 'jose';
import { io, type Socket } from 'socket.io-client';

// A load process of its own: `node bench/load.ts <url> <secret> <users>`, then steered by messages.
const [url = '', secret = '', users = '0'] = process.argv.slice(2);
const sockets: Socket[] = [];
const key = new TextEncoder().encode(secret);

async function connect(n: number): Promise<void> {
  const token = await new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(`user-${n}`)
    .setExpirationTime('1h')
    .sign(key);
  const socket = io(url, { transports: ['websocket'], forceNew: true, auth: { token, deviceId: 'bench', watch: [] } });
  await new Promise<void>((resolve, reject) => {
    socket.once('ready', () => resolve());
    socket.once('connect_error', reject);
  });
  sockets.push(socket);
}

/** Every user once in `everyMs`, evenly spread. */
async function beat(everyMs: number, seconds: number): Promise<number> {
  const tick = 10;
  const until = performance.now() + seconds * 1000;
  let sent = 0;
  let owed = 0;
  let last = performance.now();
  while (last < until) {
    await new Promise((resolve) => setTimeout(resolve, tick));
    const now = performance.now();
    owed += ((now - last) * sockets.length) / everyMs;
    last = now;
    for (; owed >= 1; owed--) sockets[sent++ % sockets.length]?.emit('heartbeat');
  }
  return sent;
}

process.on('message', async (message: { beat?: { everyMs: number; seconds: number } }) => {
  if (message.beat) process.send?.({ sent: await beat(message.beat.everyMs, message.beat.seconds) });
});
process.on('disconnect', () => process.exit(0));

for (let n = 0; n < Number(users); n += 50) {
  await Promise.all(Array.from({ length: Math.min(50, Number(users) - n) }, (_, k) => connect(n + k)));
}
process.send?.({ connected: sockets.length });
