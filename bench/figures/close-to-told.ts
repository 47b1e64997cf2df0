import { SignJWT } from 'jose';
import { io, type Socket } from 'socket.io-client';
import { startStack } from '../stack.ts';

const CLOSES = 300;
const PAUSE_MS = 40;

/** How long it takes from a client's goodbye on one web to a watcher's event on another, in a quiet deployment. */
export async function closeToTold() {
  const stack = await startStack({ webs: 2 });
  const key = new TextEncoder().encode(stack.secret);
  const connect = async (url: string, userId: string, watch: string[]): Promise<Socket> => {
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(userId)
      .setExpirationTime('1h')
      .sign(key);
    const socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false, auth: { token, watch } });
    await new Promise((resolve, reject) => {
      socket.once('ready', resolve);
      socket.once('connect_error', reject);
    });
    return socket;
  };
  const tookMs: number[] = [];
  try {
    const [here = '', there = ''] = stack.urls;
    const watcher = await connect(
      there,
      'watcher',
      Array.from({ length: CLOSES }, (_, n) => `user-${n}`),
    );
    const told = (userId: string, status: string) =>
      new Promise<void>((resolve) => {
        const listen = (change: { userId: string; status: string }) => {
          if (change.userId !== userId || change.status !== status) return;
          watcher.off('user_status_change', listen);
          resolve();
        };
        watcher.on('user_status_change', listen);
      });
    for (let n = 0; n < CLOSES; n++) {
      const came = told(`user-${n}`, 'active');
      const user = await connect(here, `user-${n}`, []);
      await came;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      const left = told(`user-${n}`, 'inactive');
      const from = performance.now();
      user.disconnect();
      await left;
      tookMs.push(performance.now() - from);
    }
    watcher.disconnect();
  } finally {
    await stack.stop();
  }
  tookMs.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round((tookMs[Math.min(tookMs.length - 1, Math.floor(share * tookMs.length))] ?? 0) * 10) / 10;
  return [{ closes: CLOSES, p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), maxMs: at(1) }];
}
