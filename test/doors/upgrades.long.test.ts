import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { io } from 'socket.io-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, type WebProgram } from '../support/deployment.ts';
import { LOCK, samplesOf } from '../support/metrics.ts';

let rollcall: Deployment;
let pollingOnly: WebProgram;
let app: WebProgram;
beforeAll(async () => {
  rollcall = await Deployment.start('upgrades', { env: { ...CALM, ...LOCK } });
  [pollingOnly, app] = await Promise.all([
    rollcall.addWeb({ SOCKET_TRANSPORTS: 'polling' }),
    rollcall.addWeb({ CORS_ORIGINS: 'capacitor://localhost,https://*.example.com' }),
  ]);
});
afterAll(async () => {
  const faults = rollcall?.faults;
  await rollcall?.stop();
  expect(faults).toEqual([]);
});

/** What a server says to a request of these lines until it ends the connection, as it is asked to. */
async function say(url: string, lines: string[], body = ''): Promise<{ status: number; head: string; body: string }> {
  const { port, host } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  const [first = '', ...others] = lines;
  socket.write([first, `Host: ${host}`, ...others, '', body].join('\r\n'));
  const answer = await text(socket);
  const end = answer.indexOf('\r\n\r\n');
  const head = answer.slice(0, end);
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), head, body: answer.slice(end + 4) };
}

const OFFERS = {
  'HTTP/2 (curl --http2, Java)': [
    'Connection: close, Upgrade, HTTP2-Settings',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABkAAQAAP__',
  ],
  TLS: ['Connection: close, Upgrade', 'Upgrade: TLS/1.2'],
  'several protocols': ['Connection: close, Upgrade', 'Upgrade: h2c, websocket'],
  'a WebSocket where there is none': ['Connection: close, Upgrade', 'Upgrade: websocket'],
};

describe.each(Object.entries(OFFERS))('a request that offers to go on as %s', (_what, offer) => {
  test('is answered as if it did not', async () => {
    const alive = await say(rollcall.url, ['GET /healthz HTTP/1.1', ...offer]);
    expect([alive.status, alive.body]).toEqual([200, '{"status":"ok"}']);
    const docs = await say(rollcall.url, ['GET /docs/json HTTP/1.1', ...offer]);
    expect(docs.status).toBe(200);
    const nowhere = await say(rollcall.url, ['GET /nowhere HTTP/1.1', ...offer]);
    expect([nowhere.status, JSON.parse(nowhere.body).code]).toEqual([404, 'NOT_FOUND']);
  });

  test('has its body read', async () => {
    const body = JSON.stringify({ userIds: ['ada', 'never-came'] });
    const lines = ['POST /users/status/query HTTP/1.1', `Authorization: Bearer ${await tokenFor('ada')}`, ...offer];
    const answer = await say(
      rollcall.url,
      [...lines, 'Content-Type: application/json', `Content-Length: ${body.length}`],
      body,
    );
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body).users).toMatchObject([{ userId: 'ada' }, { userId: 'never-came' }]);
  });
});

test('long polling goes on through whoever offers HTTP/2 with each request', async () => {
  const offer = OFFERS['HTTP/2 (curl --http2, Java)'];
  const answer = await say(rollcall.url, ['GET /socket.io/?EIO=4&transport=polling HTTP/1.1', ...offer]);
  expect([answer.status, answer.body[0]]).toEqual([200, '0']);
});

describe('an upgrade that is refused gets an answer', () => {
  const handshake = (query: string, ...more: string[]) => [
    `GET /socket.io/?${query} HTTP/1.1`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...more,
  ];

  test.each([
    ['by a page of another site', 'EIO=4&transport=websocket', ['Origin: https://evil.example'], 403, 'CORS_ORIGINS'],
    ['for a protocol of the past', 'EIO=3&transport=websocket', [], 400, 'Engine.IO 4'],
    ['without a protocol', 'transport=websocket', [], 400, 'Engine.IO 4'],
    ['for a connection that is unknown', 'EIO=4&transport=websocket&sid=unknown', [], 400, 'Session ID unknown'],
    ['for a transport that there is not', 'EIO=4&transport=pigeon', [], 400, 'Transport unknown'],
  ])('%s', async (_what, query, more, status, said) => {
    const answer = await say(rollcall.url, handshake(query, ...more));
    expect([answer.status, answer.body]).toEqual([status, expect.stringContaining(said)]);
    expect(answer.head).toMatch(/^connection: close$/im);
    expect(Number(/^content-length: (\d+)$/im.exec(answer.head)?.[1])).toBe(answer.body.length);
  });

  test('where WebSockets are switched off', async () => {
    const answer = await say(pollingOnly.url, handshake('EIO=4&transport=websocket'));
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([400, { code: 'INVALID_REQUEST' }]);
    const client = await new TestClient(
      pollingOnly.url,
      { token: await tokenFor('poll') },
      { transports: ['polling'] },
    ).welcomed();
    client.leave();
  });

  const poll = (query: string) => [`GET /socket.io/?${query} HTTP/1.1`, 'Connection: close'];
  const OLD = 'EIO=3&transport';
  const NEW = 'EIO=4&transport';

  test.each([
    ['a protocol of the past', 'Engine.IO 3', {}, [handshake(`${OLD}=websocket`), poll(`${OLD}=polling`)]],
    ['no WebSockets', 'SOCKET_TRANSPORTS', { SOCKET_TRANSPORTS: 'polling' }, [handshake(`${NEW}=websocket`)]],
    ['no polling', 'SOCKET_TRANSPORTS', { SOCKET_TRANSPORTS: 'websocket' }, [poll(`${NEW}=polling`)]],
  ])('and the operator hears of it, once for many, and in the metrics: %s', async (_what, said, env, requests) => {
    const web = await rollcall.addWeb(env);
    for (const request of [...requests, ...requests]) {
      const answer = await say(web.url, [...request, 'User-Agent: an old program']);
      expect(answer.status).toBe(400);
    }
    const counted = (await samplesOf(web.url)).get('rollcall_connections_refused_total{code="INVALID_REQUEST"}');
    expect(counted).toBe(2 * requests.length);
    const told = web.lines.filter((line) => line.includes(said)).map((line) => JSON.parse(line));
    expect(told).toMatchObject([{ client: 'an old program', refused: 1 }]);
    await web.end();
  });
});

test('a connection on which nothing was asked is closed without a word, and one with half a request is told why', async () => {
  const { port } = new URL(rollcall.url);
  const [ahead, slow] = [connect(Number(port), '127.0.0.1'), connect(Number(port), '127.0.0.1')];
  await Promise.all([once(ahead, 'connect'), once(slow, 'connect')]);
  slow.write('GET /healthz HTTP/1.1\r\nHost:');
  const [silence, answer] = await Promise.all([text(ahead), text(slow)]);
  expect(silence).toBe('');
  expect(answer).toMatch(/^HTTP\/1\.1 400 .*"code":"INVALID_REQUEST"/s);
});

describe('the pages of an app', () => {
  const connectFrom = async (origin: string, transport: 'websocket' | 'polling') => {
    const auth = { token: await tokenFor('app') };
    const socket = io(app.url, {
      auth,
      transports: [transport],
      extraHeaders: { origin },
      forceNew: true,
      reconnection: false,
    });
    const outcome = await new Promise((resolve) => {
      socket.once('ready', () => resolve('in'));
      socket.once('connect_error', () => resolve('refused'));
    });
    socket.disconnect();
    return outcome;
  };

  test.each(['websocket', 'polling'] as const)(
    'may connect by %s where they are named, and others may not',
    async (transport) => {
      for (const origin of ['capacitor://localhost', 'https://a.example.com', app.url]) {
        expect([origin, await connectFrom(origin, transport)]).toEqual([origin, 'in']);
      }
      for (const origin of ['ionic://localhost', 'null', 'https://a.b.example.com']) {
        expect([origin, await connectFrom(origin, transport)]).toEqual([origin, 'refused']);
      }
    },
  );

  test('may ask over HTTP where they are named, and others get no leave', async () => {
    const ask = (origin: string) => fetch(`${app.url}/healthz`, { headers: { origin } });
    for (const origin of ['capacitor://localhost', 'https://a.example.com']) {
      expect((await ask(origin)).headers.get('access-control-allow-origin')).toBe(origin);
    }
    for (const origin of ['tauri://localhost', 'null', 'https://example.com']) {
      const answer = await ask(origin);
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, null]);
    }
  });

  test('that were refused are told to the log, once each, with the setting that lets them in', async () => {
    const origin = 'app://somewhere';
    for (let n = 0; n < 3; n++) await connectFrom(origin, 'websocket');
    await fetch(`${app.url}/healthz`, { headers: { origin } });
    await app.said(/"origin":"app:\/\/somewhere".*CORS_ORIGINS/);
    await fetch(`${app.url}/healthz`, { headers: { origin: 'app://later' } });
    await app.said(/app:\/\/later/);
    expect(app.lines.filter((line) => line.includes(origin))).toHaveLength(1);
  });
});
