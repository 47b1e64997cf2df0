import { SignJWT } from 'jose';
import { io } from 'socket.io-client';
import { createPresenceClient } from '../../src/client/index.ts';

/**
 * A load process: `node scripts/people/crowd.ts <url> <secret> <name> <users> <sdk|plain>`. Its people connect, stay, beat,
 * and watch their neighbours. Steered by messages; ends when its parent goes.
 */
export interface CrowdReport {
  connected: number;
  /** When somebody was connected again (Date.now()), since the last report. */
  returns: number[];
  /** How often somebody saw a neighbour as inactive who had been active, since the last report. */
  seenInactive: number;
  /** Changes that were told, since the last report. */
  told: number;
}

export type CrowdQuestion = { ask: 'report' } | { ask: 'leave'; users: number } | { ask: 'join' };

const NEIGHBOURS = 3;
const AT_ONCE = 25;

interface Member {
  leave(): void;
}

const [url = '', secret = '', name = '', users = '0', kind = 'sdk'] = process.argv.slice(2);
const count = Number(users);
const key = new TextEncoder().encode(secret);
let seen: CrowdReport = { connected: 0, returns: [], seenInactive: 0, told: 0 };
const up = new Set<number>();
const members = new Map<number, Member>();

const idOf = (n: number) => `${name}-${n % count}`;
const neighboursOf = (n: number) => Array.from({ length: NEIGHBOURS }, (_, k) => idOf(n + 1 + k));

function tokenOf(n: number): Promise<string> {
  return new SignJWT().setProtectedHeader({ alg: 'HS256' }).setSubject(idOf(n)).setExpirationTime('5h').sign(key);
}

/** Resolves when it is connected for the first time; later times are returns. */
function noteReady(n: number, first: () => void): () => void {
  let before = false;
  return () => {
    up.add(n);
    if (before) seen.returns.push(Date.now());
    else first();
    before = true;
  };
}

/** Takes what somebody is shown of others, snapshots included. */
function observer() {
  const statuses = new Map<string, string>();
  return (users: readonly { userId: string; status: string }[]) => {
    seen.told += users.length;
    for (const { userId, status } of users) {
      if (status === 'inactive' && statuses.get(userId) === 'active') seen.seenInactive++;
      if (status !== 'unknown') statuses.set(userId, status);
    }
  };
}

async function withSdk(n: number): Promise<void> {
  const client = createPresenceClient({ url, getToken: () => tokenOf(n), deviceId: `device-${n}` });
  client.onError(() => {});
  client.watch(neighboursOf(n), observer());
  client.connect();
  members.set(n, { leave: () => client.close() });
  await new Promise<void>((resolve) => {
    const ready = noteReady(n, resolve);
    client.connection.subscribe(() => {
      if (client.connection.get().status === 'connected') ready();
      else up.delete(n);
    });
  });
}

/** What Socket.IO's own client does by itself, and the one thing that it leaves to its user: coming back when refused. */
async function plain(n: number): Promise<void> {
  const auth = { token: await tokenOf(n), deviceId: `device-${n}`, watch: neighboursOf(n) };
  const socket = io(url, { transports: ['websocket'], forceNew: true, auth });
  const note = observer();
  let beating: NodeJS.Timeout | undefined;
  let returning: NodeJS.Timeout | undefined;
  members.set(n, {
    leave: () => {
      clearInterval(beating);
      clearTimeout(returning);
      socket.disconnect();
    },
  });
  await new Promise<void>((resolve) => {
    const ready = noteReady(n, resolve);
    socket.on('ready', ({ users: shown = [], heartbeatIntervalMs }) => {
      clearInterval(beating);
      beating = setInterval(() => socket.emit('heartbeat'), heartbeatIntervalMs);
      note(shown);
      ready();
    });
    socket.on('user_status_change', (change) => note([change]));
    socket.on('disconnect', () => {
      clearInterval(beating);
      up.delete(n);
    });
    socket.on('connect_error', (error: Error & { data?: { retryAfterMs?: number } }) => {
      if (!socket.active) returning = setTimeout(() => socket.connect(), error.data?.retryAfterMs ?? 1000);
    });
  });
}

const join = kind === 'sdk' ? withSdk : plain;

async function joinAll(): Promise<void> {
  const absent = Array.from({ length: count }, (_, n) => n).filter((n) => !members.has(n));
  for (let n = 0; n < absent.length; n += AT_ONCE) await Promise.all(absent.slice(n, n + AT_ONCE).map(join));
}

process.on('message', async (question: CrowdQuestion) => {
  if (question.ask === 'report') {
    process.send?.({ ...seen, connected: up.size } satisfies CrowdReport);
    seen = { connected: 0, returns: [], seenInactive: 0, told: 0 };
    return;
  }
  if (question.ask === 'leave') {
    for (const [n, member] of [...members].slice(0, question.users)) {
      member.leave();
      members.delete(n);
      up.delete(n);
    }
  } else {
    await joinAll();
  }
  process.send?.('done');
});
process.on('disconnect', () => process.exit(0));

await joinAll();
process.send?.('done');
