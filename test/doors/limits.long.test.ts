import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { io } from 'socket.io-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClientEvent } from '../../src/protocol/client-events.ts';
import type { SocketError } from '../../src/protocol/socket.ts';
import { WINDOW_MS } from '../../src/web/limits/limit.ts';
import { TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { LOCK, samplesOf } from '../support/metrics.ts';

/** Per address and ten seconds: fifty handshakes, fifty requests. */
const STRICT = { TRUST_PROXY: '1', MAX_CONNECTS_PER_IP_PER_SECOND: '5', MAX_REQUESTS_PER_IP_PER_SECOND: '5' };
let rollcall: Deployment;
let strict: Deployment;
let addresses = 0;
/** An address that no other test has. */
const somewhere = () => `198.51.100.${++addresses}`;

beforeAll(async () => {
  [rollcall, strict] = await Promise.all([
    Deployment.start('limits', { env: { ...CALM, ...LOCK, TRUST_PROXY: '1' } }),
    Deployment.start('limits-strict', { webs: 2, workers: 0, env: { ...CALM, ...STRICT } }),
  ]);
});
afterAll(async () => {
  const faults = [...(rollcall?.faults ?? []), ...(strict?.faults ?? [])];
  await Promise.all([rollcall?.stop(), strict?.stop()]);
  expect(faults).toEqual([]);
});

interface Ask {
  from: string;
  token?: string;
  method?: string;
  body?: object;
}

const ask = (url: string, path: string, { from, token, method = 'GET', body }: Ask) =>
  fetch(new URL(path, url), {
    method,
    headers: {
      'x-forwarded-for': from,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

/** So many of them, some at a time; how often each status came. */
async function often(times: number, once: (n: number) => Promise<Response>): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {};
  for (let n = 0; n < times; n += 50) {
    const answers = await Promise.all(Array.from({ length: Math.min(50, times - n) }, (_, k) => once(n + k)));
    for (const answer of answers) {
      await answer.arrayBuffer();
      statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
    }
  }
  return statuses;
}

/** Anew, as somebody else, where it took longer than what is counted together: then there was nothing to refuse. */
async function inOneWindow<T>(work: (userId: string) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const from = performance.now();
    const outcome = await work(`eager-${attempt}`);
    if (performance.now() - from < WINDOW_MS || attempt === 5) return outcome;
  }
}

/** What a handshake from there comes to. */
async function knock(
  url: string,
  from: string,
  auth: object,
  origin?: string,
): Promise<SocketError | 'in' | 'cut off'> {
  const socket = io(url, {
    auth,
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
    extraHeaders: { 'x-forwarded-for': from, ...(origin === undefined ? {} : { origin }) },
  });
  return await new Promise((resolve) => {
    socket.once('ready', () => resolve('in'));
    socket.once('connect_error', (error: Error & { data?: SocketError }) => resolve(error.data ?? 'cut off'));
  }).then((outcome) => {
    socket.disconnect();
    return outcome as SocketError | 'in' | 'cut off';
  });
}

/** What a WebSocket is refused with before it is one. */
async function upgrade(url: string, from: string) {
  const request = get(new URL('/socket.io/?EIO=4&transport=websocket', url), {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': btoa('sixteen-bytes-ok'),
      'x-forwarded-for': from,
    },
  });
  const [response]: IncomingMessage[] = await once(request, 'response');
  const text = ((await response?.toArray()) ?? []).join('');
  return {
    statusCode: response?.statusCode,
    retryAfter: Number(response?.headers['retry-after']),
    body: JSON.parse(text),
  };
}

describe('an address that asks too often', () => {
  test('is answered 429 and when to come again, by all web processes together; others notice nothing', async () => {
    const [from, token] = [somewhere(), await tokenFor('busy')];
    const status = (web: number) => () => ask(strict.web(web).url, '/users/busy/status', { from, token });
    const first = await often(150, status(0));
    expect((first[404] ?? 0) + (first[429] ?? 0)).toBe(150);
    expect(first[404]).toBe(50);
    // The other process knows nothing of it until it has used its own share.
    expect((await often(150, status(1)))[404]).toBeLessThanOrEqual(13);

    const refused = await ask(strict.url, '/users/busy/status', { from, token });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(10);
    expect(await refused.json()).toEqual({
      statusCode: 429,
      code: 'RATE_LIMITED',
      error: 'Too Many Requests',
      message: expect.any(String),
    });
    for (const path of ['/docs/json', '/nowhere', '/users/busy']) {
      expect([path, (await ask(strict.url, path, { from })).status]).toEqual([path, 429]);
    }
    expect((await ask(strict.url, '/healthz', { from })).status).toBe(200);
    expect((await ask(strict.url, '/users/busy/status', { from: somewhere(), token })).status).toBe(404);
    // Only what the last proxy says is believed.
    const forged = `203.0.113.9, ${from}`;
    expect((await ask(strict.url, '/users/busy/status', { from: forged, token })).status).toBe(429);

    // The neighbours of a flood stay active.
    const body = { status: 'active' };
    const posted = await ask(strict.url, '/users/status', { from, token, method: 'POST', body });
    expect([posted.status, await posted.json()]).toEqual([200, expect.objectContaining({ status: 'active' })]);
    expect((await ask(strict.url, '/users/status', { from, token: 'bad', method: 'POST', body })).status).toBe(401);
  });
});

describe('an address that connects too often', () => {
  test('is refused before its token is looked at, and cut off when it goes on', async () => {
    const from = somewhere();
    const outcomes = [];
    for (let n = 0; n < 200; n += 20) {
      outcomes.push(...(await Promise.all(Array.from({ length: 20 }, () => knock(strict.url, from, {})))));
    }
    const codes = outcomes.map((outcome) => (typeof outcome === 'string' ? outcome : outcome.code));
    expect(codes.filter((code) => code === 'UNAUTHENTICATED')).toHaveLength(50);
    // Those that were on their way when the limit was reached are told so as well.
    expect(codes.filter((code) => code === 'RATE_LIMITED').length).toBeLessThanOrEqual(120);
    expect(codes.filter((code) => code === 'cut off').length).toBeGreaterThanOrEqual(30);
    const told = outcomes.find((outcome) => typeof outcome !== 'string' && outcome.code === 'RATE_LIMITED');
    expect(told).toEqual({ code: 'RATE_LIMITED', message: expect.any(String), retryAfterMs: expect.any(Number) });
    const token = await tokenFor('good');
    expect(await knock(strict.url, from, { token })).toBe('cut off');
    const cut = await upgrade(strict.url, from);
    expect([cut.statusCode, cut.body.code]).toEqual([429, 'RATE_LIMITED']);
    expect(cut.retryAfter).toBeGreaterThanOrEqual(1);
    expect(cut.retryAfter).toBeLessThanOrEqual(10);
    expect(await knock(strict.url, somewhere(), { token })).toBe('in');
  });

  test('is told so with a good token too', async () => {
    const from = somewhere();
    await Promise.all(Array.from({ length: 60 }, () => knock(strict.url, from, {})));
    const outcome = await knock(strict.url, from, { token: await tokenFor('good') });
    expect(outcome).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) });
  });
});

test('an address with too many bad tokens may ask no more, but connect and say that somebody is active; expired ones do not count', async () => {
  const [from, token] = [somewhere(), await tokenFor('patient')];
  const expired = await tokenFor('patient', { expiresInSeconds: -60 });
  const path = '/users/patient/settings';
  expect(await often(400, () => ask(rollcall.url, path, { from, token: expired }))).toEqual({ 401: 400 });
  const counted = await often(400, (n) => ask(rollcall.url, path, { from, token: `bad.${n}` }));
  // Counted once they have failed, so those that are checked at the same time may be a few more.
  expect(counted[401]).toBeGreaterThanOrEqual(300);
  expect(counted[401]).toBeLessThanOrEqual(350);
  expect((await ask(rollcall.url, path, { from, token })).status).toBe(429);
  expect(await knock(rollcall.url, from, { token: 'bad.x.y' })).toMatchObject({ code: 'RATE_LIMITED' });
  expect(await knock(rollcall.url, from, { token })).toBe('in');
  const posted = { from, token, method: 'POST', body: { status: 'active' } };
  expect((await ask(rollcall.url, '/users/status', posted)).status).toBe(200);
  expect((await ask(rollcall.url, path, { from: somewhere(), token })).status).toBe(200);
});

describe('a user who asks too often', () => {
  test('is refused by token first, then over all tokens; a service goes on', async () => {
    const from = somewhere();
    const path = '/users/eager/status';
    const outcome = await inOneWindow(async (userId) => {
      const [one, other, third] = [
        await tokenFor(userId),
        await tokenFor(userId, { jti: 'other' }),
        await tokenFor(userId, { jti: 'third' }),
      ];
      const first = await often(600, () => ask(rollcall.url, path, { from, token: one }));
      await often(500, () => ask(rollcall.url, path, { from, token: other }));
      return [first[404], first[429], (await ask(rollcall.url, path, { from, token: third })).status];
    });
    expect(outcome).toEqual([500, 100, 429]);
    const service = await tokenFor('backend', { scope: 'presence:read' });
    expect(await often(1500, () => ask(rollcall.url, path, { from, token: service }))).toEqual({ 404: 1500 });
  });

  test('is never refused staying active, and costs little by it', async () => {
    const [from, token] = [somewhere(), await tokenFor('alive')];
    const body = { status: 'active' };
    const post = () => ask(rollcall.url, '/users/status', { from, token, method: 'POST', body });
    expect(await often(600, post)).toEqual({ 200: 600 });
    const hide = () =>
      ask(rollcall.url, '/users/status', { from, token, method: 'POST', body: { status: 'inactive' } });
    expect((await often(250, hide))[429]).toBe(50);
    expect(await often(20, post)).toEqual({ 200: 20 });
  });
});

describe('a connection', () => {
  /** How often an event was done, and what it was refused with last. */
  async function say(client: TestClient, times: number, event: ClientEvent, payload: unknown) {
    let done = 0;
    const refused: SocketError[] = [];
    const emit = client.socket.emitWithAck.bind(client.socket) as (name: string, said: unknown) => Promise<unknown>;
    for (let n = 0; n < times; n += 50) {
      const answers = await Promise.all(Array.from({ length: Math.min(50, times - n) }, () => emit(event, payload)));
      for (const answer of answers as ({ ok: true } | { ok: false; error: SocketError })[]) {
        if (answer.ok) done++;
        else refused.push(answer.error);
      }
    }
    return { done, refused };
  }
  const LIMITED = { code: 'RATE_LIMITED', message: expect.any(String), retryAfterMs: expect.any(Number) };

  test('that says too much is refused it, its heartbeats are not, and others notice nothing', async () => {
    const loud = await TestClient.connect(rollcall.url, 'loud', { watch: [] });
    const quiet = await TestClient.connect(rollcall.url, 'quiet', { watch: ['loud'] });
    const { done, refused } = await say(loud, 1200, 'leave_conversation', { conversationId: 'c' });
    expect(done).toBe(1000);
    expect(refused).toHaveLength(200);
    expect(refused[0]).toEqual(LIMITED);
    expect(await loud.beat()).toMatchObject({ ok: true });
    expect(await loud.socket.emitWithAck('set_status', { status: 'active' })).toMatchObject({ ok: true });
    expect(await quiet.watch('loud')).toMatchObject({ ok: true });
    expect(quiet.statuses('loud')).toEqual([]);
    for (const client of [loud, quiet]) client.leave();
  });

  test('that goes on is closed, whatever it says', async () => {
    const flood = await TestClient.connect(rollcall.url, 'flood', { watch: [] });
    const emit = flood.socket.emit.bind(flood.socket) as (name: string, said: unknown) => void;
    for (let n = 0; n < 6000; n++) emit('no_such_event', { n });
    expect(await flood.isClosed()).toEqual({ reason: 'rate_limited', reconnect: true, afterMs: 10_000 });
    await flood.isDisconnected();
  });

  test('that sends by the thousand is heard no further than it takes to close it', async () => {
    const heard = async () => (await samplesOf(rollcall.url)).get('rollcall_heartbeats_total{result="accepted"}') ?? 0;
    const before = await heard();
    const flood = await TestClient.connect(rollcall.url, 'pounding', { watch: [] });
    const emit = flood.socket.emit.bind(flood.socket) as (name: string) => void;
    for (let n = 0; n < 20_000; n++) emit('heartbeat');
    expect(await flood.isClosed()).toEqual({ reason: 'rate_limited', reconnect: true, afterMs: 10_000 });
    await flood.isDisconnected();
    // 5000 are borne. What came in the same packet of the network as the last of them is not looked at.
    expect((await heard()) - before).toBeLessThanOrEqual(5010);
  });

  test.each<[string, ClientEvent, unknown, number, number]>([
    ['choices', 'set_detail', { text: 'busy' }, 220, 200],
    ['choices to appear inactive', 'set_status', { status: 'inactive' }, 220, 200],
    ['indicators', 'stop_indicator', { conversationId: 'c', kind: 'typing' }, 520, 500],
    ['users looked at', 'watch', { userIds: Array.from({ length: 1000 }, (_, n) => `w${n}`) }, 52, 50],
  ])('may make so many %s', async (what, event, payload, times, most) => {
    const client = await TestClient.connect(rollcall.url, `maker-of-${what.replaceAll(' ', '-')}`, { watch: [] });
    const { done, refused } = await say(client, times, event, payload);
    const limited = refused.filter(({ code }) => code === 'RATE_LIMITED');
    expect(limited).toHaveLength(times - most);
    expect(limited[0]).toEqual(LIMITED);
    if (event !== 'stop_indicator') expect(done).toBe(most);
    client.leave();
  });
});

test('a user may connect two hundred times in ten seconds, a service more often', async () => {
  const from = somewhere();
  const codes = async (auth: object) => {
    const outcomes = [];
    for (let n = 0; n < 220; n += 20) {
      outcomes.push(...(await Promise.all(Array.from({ length: 20 }, () => knock(rollcall.url, from, auth)))));
    }
    return outcomes.filter((outcome) => typeof outcome !== 'string' && outcome.code === 'RATE_LIMITED').length;
  };
  expect(await codes({ token: await tokenFor('restless'), deviceId: 'phone', watch: [] })).toBe(20);
  expect(await codes({ token: await tokenFor('backend', { scope: 'presence:read' }), watch: [] })).toBe(0);
});

test('a page of a strange site is not let in, by no transport; one of the own site, and what is no browser, is', async () => {
  const token = await tokenFor('page');
  expect(await knock(rollcall.url, somewhere(), { token }, 'https://evil.example')).toBe('cut off');
  expect(await knock(rollcall.url, somewhere(), { token }, 'null')).toBe('cut off');
  expect(await knock(rollcall.url, somewhere(), { token }, rollcall.url)).toBe('in');
  expect(await knock(rollcall.url, somewhere(), { token })).toBe('in');
  const poll = new URL('/socket.io/?EIO=4&transport=polling', rollcall.url);
  expect((await fetch(poll, { headers: { origin: 'https://evil.example' } })).status).toBe(403);
  expect((await fetch(poll, { headers: { origin: rollcall.url } })).status).toBe(200);
});
