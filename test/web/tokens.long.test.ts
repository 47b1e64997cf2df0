import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { SlowLane } from '../../src/telemetry/slow-lane.ts';
import { type Authenticator, createAuthenticator } from '../../src/web/auth/auth.ts';
import { Tokens } from '../../src/web/auth/tokens.ts';
import { Limits } from '../../src/web/limits/limits.ts';
import { openWorld, sign, type World } from './rest-world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld({ TRUST_PROXY: '1' });
});
afterAll(() => world.app.close());

interface Route {
  security?: unknown[];
  requestBody?: unknown;
}

test('a bad token counts for its address at every route there is, and so does one that is not written as it should be', async () => {
  const { paths } = (await world.app.inject('/docs/json')).json();
  const routes = Object.entries<Record<string, Route>>(paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, { security }]) => (security?.length ? [{ method, path }] : [])),
  );
  expect(routes.length).toBeGreaterThan(25);
  const bad = [
    'a.b.c',
    await sign({ sub: 'ada' }, '1h', 'another secret, long enough for HS256'),
    `${await sign({ sub: 'ada' })}=`,
  ];
  const uncounted: string[] = [];
  for (const [n, { method, path }] of routes.entries()) {
    const from = `198.51.100.${n}`;
    const tryIt = (token: string) =>
      world.app.inject({
        method: method.toUpperCase() as 'GET',
        url: path.replace(/\{\w+\}/g, 'ada'),
        headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': from },
      });
    for (let times = 0; times < 20; times++) {
      if (world.limits.isSuspicious(from)) uncounted.push(`${method} ${path}: too soon`);
      expect((await tryIt(bad[times % bad.length] ?? '')).statusCode).toBe(401);
    }
    if (!world.limits.isSuspicious(from)) uncounted.push(`${method} ${path}`);
  }
  expect(uncounted).toEqual([]);
});

describe('where too many tokens of an address were no good', () => {
  const here = '192.0.2.1';
  const wrong = (n: number) => sign({ sub: 'eve', n }, '1h', 'another secret, long enough for HS256');
  const LIMITED = { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) };

  /** Real tokens and limits, with a count of how many were verified. */
  function open() {
    const config = readConfig({
      JWT_SECRET: 'a secret for the tests of the front door',
      REDIS_URL: 'redis://127.0.0.1:1',
      DATABASE_URL: 'postgres://127.0.0.1:1/nowhere',
    });
    const real = createAuthenticator(config, createLogger({ logLevel: 'silent' }, 'web'));
    const looked = { at: 0 };
    const auth: Authenticator = {
      ...real,
      verify: (token) => {
        looked.at++;
        return real.verify(token);
      },
    };
    const limits = new Limits(config, { reserve: async () => ({ total: 0, leftMs: 10_000 }) });
    return { tokens: new Tokens(auth, limits), limits, looked };
  }

  async function exhausted() {
    const opened = open();
    for (let n = 0; n < 300; n++) {
      await expect(opened.tokens.checkPatiently(await wrong(n), here)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
    }
    return opened;
  }

  test('a good one still passes, be it new or known, and a bad one is told to wait', async () => {
    const { tokens, looked } = await exhausted();
    const good = await sign({ sub: 'ada' });
    await expect(tokens.check(good, here)).rejects.toMatchObject(LIMITED);
    expect((await tokens.checkPatiently(good, here)).userId).toBe('ada');
    const before = looked.at;
    expect((await tokens.checkPatiently(good, here)).userId).toBe('ada');
    expect(looked.at).toBe(before);
    await expect(tokens.checkPatiently(await wrong(0), here)).rejects.toMatchObject(LIMITED);
    expect((await tokens.check(good, '192.0.2.2')).userId).toBe('ada');
  });

  test('an expired one is still told that it has expired: a fresh one helps', async () => {
    const { tokens } = await exhausted();
    const expired = await sign({ sub: 'ada' }, Math.floor(Date.now() / 1000) - 60);
    await expect(tokens.checkPatiently(expired, here)).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
  });

  test('no more are looked at than the turns that are left, however many come at once', async () => {
    // Made beforehand: what counts is over after ten seconds.
    const flood = await Promise.all(Array.from({ length: 1500 }, (_, n) => wrong(n)));
    const ada = await sign({ sub: 'ada' });
    const { tokens, looked } = await exhausted();
    const before = looked.at;
    const good = tokens.checkPatiently(ada, here);
    const outcomes = await Promise.allSettled(flood.map((token) => tokens.checkPatiently(token, here)));
    expect((await good).userId).toBe('ada');
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    expect(looked.at - before).toBeGreaterThan(100);
    // Five hundred may wait; a few more come to their turn while the others are still being asked.
    expect(looked.at - before).toBeLessThan(1000);
  }, 30_000);
});

describe('a slow lane', () => {
  test('lets one pass behind the other, sends away whom it has no room for, and keeps strangers apart', async () => {
    const now = performance.now();
    const lane = new SlowLane({ everyMs: 20, most: 3 }, () => now);
    const order: number[] = [];
    const turns = [1, 2, 3].map((n) => lane.turn('a')?.then(() => order.push(n)));
    expect(lane.turn('a')).toBeNull();
    expect(lane.turn('b')).not.toBeNull();
    await Promise.all(turns);
    expect(order).toEqual([1, 2, 3]);
  });

  test('has room again once turns have passed', () => {
    let now = 0;
    const lane = new SlowLane({ everyMs: 20, most: 2 }, () => now);
    for (let n = 0; n < 2; n++) expect(lane.turn('a')).not.toBeNull();
    expect(lane.turn('a')).toBeNull();
    now = 20;
    expect(lane.turn('a')).not.toBeNull();
    expect(lane.turn('a')).toBeNull();
  });
});
