import { afterAll, beforeAll, expect, test } from 'vitest';
import { WINDOW_MS } from '../../src/web/limits/limit.ts';
import { rest, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';

let rollcall: Deployment;
beforeAll(async () => {
  rollcall = await Deployment.start('relation limits', { workers: 0, env: CALM });
});
afterAll(() => rollcall?.stop());

/** Of somebody else: they are refused and counted all the same, and PostgreSQL need not be waited for. */
const attempts: [method: string, path: string, body?: object][] = [
  ['PUT', '/users/other/settings', { alertFriends: false }],
  ['PUT', '/users/other/blocks/somebody'],
  ['DELETE', '/users/other/blocks/somebody'],
  ['PATCH', '/users/other/friends/somebody', { alert: 'once' }],
  ['DELETE', '/users/other/friends/somebody'],
];

/** How often each status came. */
async function attempt(times: number, tokens: string[]): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {};
  for (let n = 0; n < times; n += 50) {
    const some = Array.from({ length: Math.min(50, times - n) }, async (_, k) => {
      const [method, path, body] = attempts[(n + k) % attempts.length] ?? ['', ''];
      const token = tokens[(n + k) % tokens.length] ?? '';
      const { status } = await rest(rollcall.url, method, path, { token, ...(body ? { body } : {}) });
      statuses[status] = (statuses[status] ?? 0) + 1;
    });
    await Promise.all(some);
  }
  return statuses;
}

test('a user may change settings, blocks and friends as often as one token may ask, with however many; looking and services go on', async () => {
  const tokens = await Promise.all(['one', 'two', 'three'].map((jti) => tokenFor('torn', { jti })));
  const from = performance.now();
  let taken = 0;
  for (let refused = 0; refused < 50; ) {
    const statuses = await attempt(50, tokens);
    taken += statuses[403] ?? 0;
    refused = statuses[429] ?? 0;
    expect((statuses[403] ?? 0) + refused).toBe(50);
  }
  // A busy machine may take longer than a window for so many.
  const windows = 1 + Math.floor((performance.now() - from) / WINDOW_MS);
  expect(taken).toBeGreaterThanOrEqual(500);
  expect(taken).toBeLessThanOrEqual(500 * windows);
  const [token = ''] = tokens;
  const own = { token, body: { alertFriends: false } };
  expect((await rest(rollcall.url, 'PUT', '/users/torn/settings', own)).body.code).toBe('RATE_LIMITED');
  expect((await rest(rollcall.url, 'GET', '/users/torn/settings', { token })).status).toBe(200);
  const service = await tokenFor('backend', { scope: 'presence:write' });
  expect((await rest(rollcall.url, 'PUT', '/users/torn/settings', { ...own, token: service })).status).toBe(200);
});
