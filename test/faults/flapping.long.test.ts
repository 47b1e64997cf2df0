import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isActive, isInactive, TestClient } from '../support/client.ts';
import { CALM, Deployment, type WebProgram } from '../support/deployment.ts';

/** As often as in a minute of somebody with a very bad network, in a few seconds. */
const BOUNCES = 20;
const GRACE_MS = 2000;
let rollcall: Deployment;
let lenient: WebProgram[];

beforeAll(async () => {
  rollcall = await Deployment.start('flapping', { webs: 2, env: CALM });
  const grace = { DISCONNECT_GRACE_SECONDS: String(GRACE_MS / 1000) };
  lenient = [await rollcall.addWeb(grace), await rollcall.addWeb(grace)];
});
afterAll(() => rollcall?.stop());

/** Leaves and comes back again and again, on one web and on the other; returns the last connection. */
async function bounce(userId: string, webs: WebProgram[], awayMs: number, auth: object): Promise<TestClient> {
  let client = await TestClient.connect(webs[0]?.url ?? '', userId, { ...auth });
  for (let n = 1; n <= BOUNCES; n++) {
    client.leave();
    await new Promise((resolve) => setTimeout(resolve, awayMs));
    client = await TestClient.connect(webs[n % webs.length]?.url ?? '', userId, { ...auth });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return client;
}

const watchers = async (...userIds: string[]) =>
  Promise.all(
    [false, true].map((batch) =>
      TestClient.connect(rollcall.web(0).url, `watcher-${batch}`, { watch: userIds, batch, deviceId: userIds.join() }),
    ),
  );

describe('whoever bounces twenty times', () => {
  test('costs a watcher two events a bounce without a grace, in order and ending with the truth', async () => {
    const all = await watchers('flaps');
    const last = await bounce('flaps', rollcall.webs.slice(0, 2), 150, { deviceId: 'phone' });
    for (const watcher of all) {
      await watcher.until(() => (watcher.of('flaps').at(-1)?.status === 'active' || undefined) && true, 'active', 5000);
    }
    last.leave();
    for (const watcher of all) {
      await watcher.until(() => watcher.of('flaps').at(-1)?.status === 'inactive' || undefined, 'inactive', 5000);
      const told = watcher.of('flaps');
      // Coming and going at the ends, and for each bounce a leaving and a coming at most.
      expect(told.length).toBeLessThanOrEqual(2 * BOUNCES + 2);
      expect(told.every((change, n) => n === 0 || change.version > (told[n - 1]?.version ?? 0))).toBe(true);
      watcher.leave();
    }
  });

  test.each([
    ['with a device id', { deviceId: 'phone' }],
    ['without', {}],
  ])('costs a watcher nothing within the grace, %s', async (name, auth) => {
    const userId = `spared-${name.length}`;
    const all = await watchers(userId);
    const last = await bounce(userId, lenient, 150, auth);
    const at = performance.now();
    const closedAt = Date.now();
    last.leave();
    for (const watcher of all) {
      const gone = await watcher.hears(userId, isInactive, { withinMs: GRACE_MS + 2000 });
      expect(gone.heardAt - at).toBeGreaterThanOrEqual(GRACE_MS - 10);
      // Of the closing, not of the end of the grace.
      expect(Math.abs(Date.parse(gone.lastSeen ?? '') - closedAt)).toBeLessThan(GRACE_MS / 2);
      expect(watcher.statuses(userId)).toEqual(['active', 'inactive']);
      watcher.leave();
    }
  });

  test('and stays away for longer than the grace each time is told of no more often than the grace allows', async () => {
    const [watcher] = await watchers('slow');
    let client = await TestClient.connect(lenient[0]?.url ?? '', 'slow', { deviceId: 'phone' });
    const from = performance.now();
    for (let n = 0; n < 3; n++) {
      client.leave();
      await watcher?.hears('slow', isInactive, { after: 2 * n });
      client = await TestClient.connect(lenient[1]?.url ?? '', 'slow', { deviceId: 'phone' });
      await watcher?.hears('slow', isActive, { after: 2 * n + 2 });
    }
    const told = (watcher?.of('slow').length ?? 0) - 1;
    expect(told).toBeLessThanOrEqual((2 * (performance.now() - from)) / GRACE_MS);
    client.leave();
    watcher?.leave();
  });
});
