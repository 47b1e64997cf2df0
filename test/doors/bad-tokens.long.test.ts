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

/**
 * Tries fifty at a time until one is refused for being too many. Counted once they have failed, so those that are checked at the
 * same time may be a few more; and on a machine that is too slow for so many in one window the count begins anew.
 */
async function untilTooMany(once: (n: number) => Promise<string | number>, limited: string | number): Promise<void> {
  const begun = performance.now();
  let looked = 0;
  for (let n = 0; n < 5000; n += 50) {
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, k) => once(n + k)));
    looked += outcomes.filter((outcome) => outcome !== limited).length;
    if (!outcomes.includes(limited)) continue;
    const windows = 1 + Math.floor((performance.now() - begun) / 10_000);
    expect(looked).toBeGreaterThanOrEqual(300);
    expect(looked).toBeLessThanOrEqual(350 * windows);
    return;
  }
  throw new Error('Five thousand bad tokens were looked at');
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
  let refused: Response | undefined;
  await untilTooMany(async (n) => {
    const answer = await post(from, `bad.${n}.x`);
    if (answer.status === 429) refused = answer;
    return answer.status;
  }, 429);
  expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
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
  await untilTooMany((n) => authenticate(eve, `bad.${n}.x`), 'RATE_LIMITED');
  expect(await authenticate(eve, await tokenFor('eve', { jti: 'fresh' }))).toBe('ok');
  expect(await authenticate(ada, await tokenFor('ada', { jti: 'fresh' }))).toBe('ok');
  // The old one has stayed in force all along.
  expect(await eve.beat()).toMatchObject({ ok: true });
  for (const client of [eve, ada]) client.leave();
});

/** The ways in which too many were refused, after a sixth of what an address may try, five times, by each of three. */
async function refusedWays(): Promise<Set<number>> {
  const from = somewhere();
  const eve = await connect('eve', from);
  const ways = [
    async (token: string) => ((await post(from, token)).status === 429 ? 'RATE_LIMITED' : 'looked at'),
    (token: string) => authenticate(eve, token),
    async (token: string) => {
      const refused = await connect('eve', from, token).catch((error: unknown) => error);
      return refused instanceof Refused ? refused.code : 'in';
    },
  ];
  const limited = new Set<number>();
  for (let turn = 0; turn < 5; turn++) {
    const outcomes = await Promise.all(
      ways.map((way, at) => Promise.all(Array.from({ length: 50 }, (_, n) => way(`bad.${turn}.${at}-${n}`)))),
    );
    for (const [at, some] of outcomes.entries()) if (some.includes('RATE_LIMITED')) limited.add(at);
  }
  eve.leave();
  return limited;
}

test('they are one count: each way in refuses for what was tried at the two others', async () => {
  for (let attempt = 0; attempt < 4; attempt++) {
    const begun = performance.now();
    const refused = await refusedWays();
    // A machine too slow to try them all in one window has to try again.
    if (refused.size < 3 && performance.now() - begun > 8000) continue;
    expect([...refused].sort()).toEqual([0, 1, 2]);
    return;
  }
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
