import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SocketError } from '../../src/protocol/socket.ts';
import { Refused, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';

/** All of this machine is one address. */
let rollcall: Deployment;
let addresses = 0;
const somewhere = () => `203.0.113.${++addresses}`;

beforeAll(async () => {
  rollcall = await Deployment.start('bad-tokens', { env: { ...CALM, TRUST_PROXY: '1' } });
});
afterAll(async () => {
  const faults = rollcall?.faults ?? [];
  await rollcall?.stop();
  expect(faults).toEqual([]);
});

async function post(from: string, token: string) {
  const response = await fetch(new URL('/users/status', rollcall.url), {
    method: 'POST',
    headers: { 'x-forwarded-for': from, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{"status":"active"}',
  });
  await response.arrayBuffer();
  return response;
}

/** So many at a time; how often each outcome came. */
async function tally(times: number, once: (n: number) => Promise<string | number>): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {};
  for (let n = 0; n < times; n += 50) {
    for (const outcome of await Promise.all(Array.from({ length: Math.min(50, times - n) }, (_, k) => once(n + k)))) {
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  }
  return outcomes;
}

const connect = async (userId: string, from: string, token?: string) => {
  const auth = { token: token ?? (await tokenFor(userId)), watch: [] };
  return new TestClient(rollcall.url, auth, { extraHeaders: { 'x-forwarded-for': from } }).welcomed();
};

async function authenticate(client: TestClient, token: string): Promise<string> {
  const answer = await client.socket.emitWithAck('authenticate', { token });
  return answer.ok ? 'ok' : (answer as { error: SocketError }).error.code;
}

test('three hundred bad tokens posted as a status are looked at, and no more; good ones pass, new and known', async () => {
  const from = somewhere();
  const known = await tokenFor('known');
  expect((await post(from, known)).status).toBe(200);
  const outcomes = await tally(420, async (n) => (await post(from, `bad.${n}.x`)).status);
  expect((outcomes[401] ?? 0) + (outcomes[429] ?? 0)).toBe(420);
  // Counted once they have failed, so those that are checked at the same time may be a few more.
  expect(outcomes[401]).toBeGreaterThanOrEqual(300);
  expect(outcomes[401]).toBeLessThanOrEqual(350);
  const refused = await post(from, 'bad.token.again');
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  for (const token of [known, await tokenFor('fresh')]) expect((await post(from, token)).status).toBe(200);
});

test('a good token passes in the middle of a flood of bad ones from its address', async () => {
  const from = somewhere();
  let flooding = true;
  let sent = 0;
  const flood = Promise.all(
    Array.from({ length: 40 }, async () => {
      while (flooding) await post(from, `bad.${sent++}.x`);
    }),
  );
  while (sent < 600) await post(from, `bad.${sent++}.x`);
  for (const name of ['one', 'two', 'three']) expect((await post(from, await tokenFor(name))).status).toBe(200);
  flooding = false;
  await flood;
});

test('bad tokens of an open connection count like others; a good one still passes, there and beside it', async () => {
  const from = somewhere();
  const [eve, ada] = await Promise.all([connect('eve', from), connect('ada', from)]);
  const outcomes = await tally(420, (n) => authenticate(eve, `bad.${n}.x`));
  expect((outcomes.UNAUTHENTICATED ?? 0) + (outcomes.RATE_LIMITED ?? 0)).toBe(420);
  expect(outcomes.UNAUTHENTICATED).toBeGreaterThanOrEqual(300);
  expect(outcomes.UNAUTHENTICATED).toBeLessThanOrEqual(350);
  const refusal = await eve.socket.emitWithAck('authenticate', { token: 'bad.token.again' });
  expect(refusal).toMatchObject({ ok: false, error: { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) } });
  expect(await authenticate(eve, await tokenFor('eve', { jti: 'fresh' }))).toBe('ok');
  expect(await authenticate(ada, await tokenFor('ada', { jti: 'fresh' }))).toBe('ok');
  // The old one has stayed in force all along.
  expect(await eve.beat()).toMatchObject({ ok: true });
  for (const client of [eve, ada]) client.leave();
});

test('they are one count: a hundred and more by each way in, and the address is known at all of them', async () => {
  const from = somewhere();
  const eve = await connect('eve', from);
  await tally(120, async (n) => (await post(from, `bad.${n}.x`)).status);
  await tally(120, (n) => authenticate(eve, `bad.${n}.y`));
  await tally(120, async (n) => {
    const refused = await connect('eve', from, `bad.${n}.z`).catch((error: unknown) => error);
    return refused instanceof Refused ? refused.code : 'in';
  });
  expect((await post(from, 'bad.token.again')).status).toBe(429);
  expect(await authenticate(eve, 'bad.token.again')).toBe('RATE_LIMITED');
  await expect(connect('eve', from)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  eve.leave();
});

test('a token with padding is none, at no way in; the same without is', async () => {
  const from = somewhere();
  const good = await tokenFor('ada');
  const ada = await connect('ada', from, good);
  for (const other of [`${good}=`, `${good}==`, good.replace('.', '=.')]) {
    expect((await post(from, other)).status).toBe(401);
    expect(await authenticate(ada, other)).toBe('UNAUTHENTICATED');
    await expect(connect('ada', from, other)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  }
  for (const other of [` ${good}`, `${good}\n`, good.replace('.', '\t.')]) {
    expect(await authenticate(ada, other)).toBe('UNAUTHENTICATED');
    await expect(connect('ada', from, other)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  }
  expect((await post(from, good)).status).toBe(200);
  expect(await authenticate(ada, good)).toBe('ok');
  ada.leave();
});
