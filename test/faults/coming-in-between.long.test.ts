import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { isActive, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { webBehindLink } from '../support/resync.ts';

const ROUNDS = 5;
const AT_ONCE = 8;
/** So long a web takes to ask Redis anything: time for somebody to come between two questions. */
const AWAY_MS = 40;
let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('coming in between', { env: { ...CALM, AUDIENCE: 'everyone' } });
});
afterAll(() => rollcall?.stop());

test('whoever comes while the first picture of everyone is taken is in it, or is told of after it', async () => {
  const host = await tokenFor('host', { scope: 'presence:read' });
  const { web, link } = await webBehindLink(rollcall);
  link.delay(AWAY_MS);
  onTestFinished(async () => {
    await web.end();
    await link.close();
  });
  // Of every shard somebody is here, so that each is looked at.
  const residents = Array.from({ length: 64 }, (_, n) =>
    TestClient.connect(rollcall.url, `resident-${n}`, { watch: [] }),
  );
  await Promise.all(residents);
  for (let round = 0; round < ROUNDS; round++) {
    const names = Array.from({ length: AT_ONCE }, (_, n) => `came-${round}-${n}`);
    const looking = Array.from({ length: AT_ONCE }, () => TestClient.connect(web.url, 'host', { token: host }));
    const coming = names.map(async (userId, n) => {
      await new Promise((resolve) => setTimeout(resolve, n * AWAY_MS));
      return TestClient.connect(rollcall.url, userId, { watch: [] });
    });
    const [people, viewers] = await Promise.all([Promise.all(coming), Promise.all(looking)]);
    for (const viewer of viewers) {
      for (const userId of names) {
        const isShown = viewer.ready?.users?.some((user) => user.userId === userId && isActive(user));
        if (!isShown) await viewer.hears(userId, isActive, { withinMs: 5000 });
      }
    }
    for (const client of [...people, ...viewers]) client.leave();
  }
  expect(rollcall.faults).toEqual([]);
});
