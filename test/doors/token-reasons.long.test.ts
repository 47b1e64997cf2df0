import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TOKEN_REFUSALS, type TokenRefusalReason } from '../../src/web/auth/token-refusals.ts';
import { Refused, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { LOCK, samplesOf } from '../support/metrics.ts';

let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('token-reasons', { env: { ...CALM, ...LOCK } });
});
afterAll(() => rollcall?.stop());

async function counted(): Promise<Record<string, number>> {
  const samples = await samplesOf(rollcall.url);
  const count = (reason: string) => samples.get(`rollcall_tokens_refused_total{reason="${reason}"}`);
  return Object.fromEntries(Object.keys(TOKEN_REFUSALS).map((reason) => [reason, count(reason) ?? Number.NaN]));
}

/** What each door says to a token (null: none is sent), in the shape of a socket's errors. */
const doors: Record<string, (token: string | null) => Promise<unknown>> = {
  async 'a request'(token) {
    const { body } = await rest(rollcall.url, 'GET', '/users/ada/status', { token });
    return { code: body.code, message: body.message };
  },
  async 'the post of a status'(token) {
    const { body } = await rest(rollcall.url, 'POST', '/users/status', { token, body: { status: 'active' } });
    return { code: body.code, message: body.message };
  },
  async 'a handshake'(token) {
    const refused = await new TestClient(rollcall.url, token === null ? {} : { token })
      .welcomed()
      .catch((error) => error);
    return refused instanceof Refused ? refused.data : refused;
  },
  async 'a handshake by long polling'(token) {
    const auth = token === null ? {} : { token };
    const client = new TestClient(rollcall.url, auth, { transports: ['polling'] });
    const refused = await client.welcomed().catch((error) => error);
    return refused instanceof Refused ? refused.data : refused;
  },
  async 'an open connection'(token) {
    const ada = await TestClient.connect(rollcall.url, 'ada');
    const answer = await ada.socket.emitWithAck('authenticate', { token: token as string });
    ada.leave();
    return answer.ok ? answer : answer.error;
  },
};

const YEAR = 365.25 * 86_400;
const bad: [TokenRefusalReason, () => Promise<string | null>][] = [
  ['missing', async () => null],
  ['malformed', async () => 'hello'],
  [
    'wrong_key',
    // Its last character stays: not every one can be the last.
    async () => (await tokenFor('ada')).replace(/[^.]*(?=.$)/, (signature) => [...signature].reverse().join('')),
  ],
  ['exp_in_milliseconds', () => tokenFor('ada', { expiresInSeconds: Date.now() })],
  ['exp_too_far', () => tokenFor('ada', { expiresInSeconds: 2 * YEAR })],
  ['not_yet_valid', () => tokenFor('ada', { nbf: Math.floor(Date.now() / 1000) + 600 })],
  ['sub_invalid', () => tokenFor('a d a')],
  ['rooms_invalid', () => tokenFor('ada', { rooms: ['a b'] })],
  ['expired', () => tokenFor('ada', { expiresInSeconds: -60 })],
  ['too_long', () => tokenFor('ada', { name: 'x'.repeat(14_000) })],
];

test.each(bad)('every door says of a token that it is refused for %s, and counts it', async (reason, token) => {
  const { code, message } = TOKEN_REFUSALS[reason];
  for (const [door, ask] of Object.entries(doors)) {
    // An event without a token has no shape, and the headers of a request have no room for the long one.
    if (reason === 'missing' && door === 'an open connection') continue;
    // Nor has an event, which says so itself; see bytes.long.test.ts.
    if (reason === 'too_long' && !/handshake/.test(door)) continue;
    const before = await counted();
    expect([door, await ask(await token())]).toEqual([door, { code, message }]);
    expect([door, await counted()]).toEqual([door, { ...before, [reason]: (before[reason] ?? 0) + 1 }]);
  }
});

test('a request whose headers are too large for its token is told so, and not merely that it is bad', async () => {
  const token = await tokenFor('ada', { name: 'x'.repeat(14_000) });
  const refusal = {
    statusCode: 413,
    code: 'PAYLOAD_TOO_LARGE',
    error: 'Payload Too Large',
    message: expect.stringContaining('16 kB'),
  };
  for (const upgrade of [{}, { connection: 'Upgrade', upgrade: 'websocket' }]) {
    const headers = { authorization: `Bearer ${token}`, ...upgrade };
    const asking = request(new URL('/users/ada/status', rollcall.url), { headers, agent: false });
    const answer = await new Promise<{ status: number | undefined; body: unknown }>((resolve, reject) => {
      asking.on('error', reject);
      asking.on('response', async (response) => {
        resolve({ status: response.statusCode, body: JSON.parse(await text(response)) });
      });
      asking.end();
    });
    expect(answer).toEqual({ status: 413, body: refusal });
  }
  const fits = await tokenFor('ada', { name: 'x'.repeat(9000) });
  expect((await rest(rollcall.url, 'GET', '/users/nobody/status', { token: fits })).status).toBe(404);
});

test('a token of nearly 16,384 characters opens a connection', async () => {
  const token = await tokenFor('big', { name: 'x'.repeat(12_100) });
  expect(token.length).toBeGreaterThan(16_000);
  const big = await TestClient.connect(rollcall.url, 'big', { token });
  expect(await big.socket.emitWithAck('authenticate', { token })).toEqual({ ok: true });
  big.leave();
});

test('a hundred refusals for one reason are one line of the log', async () => {
  const web = await rollcall.addWeb();
  const token = await tokenFor('ada', { expiresInSeconds: -60 });
  for (let n = 0; n < 10; n++) {
    await Promise.all(Array.from({ length: 10 }, () => rest(web.url, 'GET', '/users/ada/status', { token })));
  }
  web.kill('SIGTERM');
  await web.exited;
  const lines = web.lines.filter((line) => line.includes('Tokens are refused'));
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 'info', reason: 'expired', refused: 1, msg: `Tokens are refused: ${TOKEN_REFUSALS.expired.message}` },
  ]);
});
