import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, Refused, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';

let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('short-tokens', { env: CALM });
});
afterAll(() => rollcall?.stop());

/** Connects, and answers each announcement with the next of these tokens. */
async function renewing(next: () => Promise<string>): Promise<TestClient> {
  const client = new TestClient(rollcall.url, { token: await next() });
  client.socket.on('token_expiring', async () => client.socket.emit('authenticate', { token: await next() }, () => {}));
  return client.welcomed();
}

test('whoever has short tokens alone is asked for the next one once for each, and is never closed', async () => {
  let given = 0;
  const short = await renewing(() => {
    given += 1;
    return tokenFor('short', { expiresInSeconds: 4 });
  });
  await short.until(() => short.expiring[3], 'four announcements', 30_000);
  const announced = short.expiring.map(({ expiresAt }) => expiresAt);
  expect(new Set(announced).size).toBe(announced.length);
  expect(given).toBeLessThanOrEqual(announced.length + 1);
  expect(short.closed).toEqual([]);
  expect(await short.beat()).toMatchObject({ ok: true });
  short.leave();
});

test('a token is announced when a third of what it had left is still to come, and not before', async () => {
  const client = await TestClient.connect(rollcall.url, 'third', {
    token: await tokenFor('third', { expiresInSeconds: 4 }),
  });
  const { expiresAt } = await client.until(() => client.expiring[0], 'token_expiring', 10_000);
  // It had four seconds left at most, and three at least.
  expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(4000 / 3 + 50);
  client.leave();
});

test('a token that is handed in again is not announced again, however often that is, and ends when it ends', async () => {
  const token = await tokenFor('stubborn', { expiresInSeconds: 3 });
  const stubborn = await renewing(async () => token);
  const { expiresAt } = await stubborn.until(() => stubborn.expiring[0], 'token_expiring', 10_000);
  const again = () => stubborn.socket.emitWithAck('authenticate', { token });
  expect([await again(), await again()]).toEqual([{ ok: true }, { ok: true }]);
  expect(await stubborn.isClosed()).toEqual({
    reason: 'token_expired',
    reconnect: true,
    afterMs: expect.any(Number),
  });
  expect(Date.now() - Date.parse(expiresAt)).toBeGreaterThanOrEqual(0);
  expect(stubborn.expiring).toHaveLength(1);
});

test('with a token just past its end one comes and goes once, whoever watches, and then not with it again', async () => {
  const watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['late'] });
  // To the whole second: it is over already, by less than one.
  const endsAt = Math.floor(Date.now() / 1000) * 1000;
  const token = await tokenFor('late', { expiresInSeconds: 0 });
  const { status } = await rest(rollcall.url, 'GET', '/users/watcher/status', { token });
  expect(status).toBe(200);
  let comings = 0;
  for (;;) {
    const client = await TestClient.connect(rollcall.url, 'late', { token, deviceId: 'phone' }).catch((error) => error);
    if (client instanceof Refused) {
      expect(client.code).toBe('TOKEN_EXPIRED');
      break;
    }
    comings += 1;
    const { reason, reconnect, afterMs } = await client.isClosed();
    expect({ reason, reconnect }).toEqual({ reason: 'token_expired', reconnect: true });
    // Who is handed such tokens again and again comes back no faster than that.
    expect(afterMs).toBeGreaterThanOrEqual(1000);
    expect(afterMs).toBeLessThanOrEqual(2000);
    expect(Date.now() - endsAt).toBeGreaterThanOrEqual(0);
  }
  expect(comings).toBe(1);
  await watcher.hears('late', (change) => change.status === 'inactive');
  expect(watcher.statuses('late')).toEqual(['active', 'inactive']);
  watcher.leave();
});

test('a token that has less than a second left of those five opens no connection, and does not replace another', async () => {
  const watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['dying', 'kept'] });
  const dying = (userId: string) => tokenFor(userId, { expiresInSeconds: -4 });
  const refused = await TestClient.connect(rollcall.url, 'dying', { token: await dying('dying') }).catch(
    (error) => error,
  );
  expect(refused).toBeInstanceOf(Refused);
  expect(refused.code).toBe('TOKEN_EXPIRED');
  const kept = await TestClient.connect(rollcall.url, 'kept');
  await watcher.hears('kept', isActive);
  const answer = await kept.socket.emitWithAck('authenticate', { token: await dying('kept') });
  expect(answer).toMatchObject({ ok: false, error: { code: 'TOKEN_EXPIRED' } });
  expect(await kept.beat()).toMatchObject({ ok: true });
  expect(watcher.of('dying')).toEqual([]);
  for (const client of [watcher, kept]) client.leave();
});

test('whose tokens are past their end when they are made stays, and is asked for the next one unhurriedly', async () => {
  const watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['behind'] });
  const since = performance.now();
  // To the millisecond, so that no two of them end at the same time.
  const behind = await renewing(() => tokenFor('behind', { expiresInSeconds: (Date.now() % 1000) / 1000 - 1 }));
  await behind.until(() => behind.expiring[3], 'four announcements', 30_000);
  // One a second: each of these announcements was that far from what came before it.
  expect(performance.now() - since).toBeGreaterThan(3900);
  expect(behind.closed).toEqual([]);
  expect(watcher.statuses('behind')).toEqual(['active']);
  for (const client of [watcher, behind]) client.leave();
});
