import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { shardOf } from '../../src/redis/keys.ts';
import { isActive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

const MAX = 5;
const HIDDEN = 12;
let rollcall: Deployment;
let host = '';
let serial = 0;

beforeAll(async () => {
  rollcall = await Deployment.start('everyone', { env: { ...CALM, MAX_WATCHED_USERS: String(MAX) } });
  host = await tokenFor('host', { scope: 'presence:read presence:write' });
});
beforeEach(async () => {
  serial++;
  // Whoever was here in the test before has gone.
  await eventually(
    () => rest(rollcall.url, 'GET', '/analytics/active', { token: host }),
    ({ body }) => body.activeNow === 0,
    30_000,
  );
});
afterAll(() => rollcall?.stop());

/** A user of this test's own whom Redis keeps in this shard. */
function userIn(shard: number, name: string): string {
  for (let n = 0; ; n++) {
    const userId = `${name}-${serial}-${shard}-${n}`;
    if (shardOf(userId) === shard) return userId;
  }
}

async function comes(userId: string, url = rollcall.url): Promise<TestClient> {
  const client = await TestClient.connect(url, userId, { watch: [] });
  onTestFinished(() => client.leave());
  return client;
}

/** Users whom nobody may see, each of whom is here: half by their settings, half by their choice. */
async function hide(shards: number): Promise<void> {
  for (let n = 0; n < HIDDEN; n++) {
    const userId = userIn(n % shards, `hidden${n}`);
    if (n % 2 === 0) {
      const body = { visibility: 'nobody' };
      expect((await rest(rollcall.url, 'PUT', `/users/${userId}/settings`, { token: host, body })).status).toBe(200);
    }
    const client = await comes(userId);
    if (n % 2 === 1) await client.socket.emitWithAck('set_status', { status: 'inactive' });
  }
}

/** Whom the viewer is shown, without itself. */
async function picture(): Promise<string[]> {
  const viewer = await TestClient.connect(rollcall.url, 'viewer', { deviceId: 'tab' });
  onTestFinished(() => viewer.leave());
  return (viewer.ready?.users ?? []).map((user) => user.userId).filter((userId) => userId !== 'viewer');
}

test('who may not be seen takes nobody a place in the first picture and leaves none empty', async () => {
  await hide(12);
  // One fewer than there may be, for whoever looks is here as well.
  const visible = Array.from({ length: MAX - 1 }, (_, n) => userIn(15 - n, 'visible'));
  for (const userId of visible) await comes(userId);
  for (let n = 0; n < 5; n++) expect((await picture()).sort()).toEqual([...visible].sort());
});

test('where more are here than the first picture holds, it is full, and none of them is left out every time', async () => {
  await hide(12);
  const visible = Array.from({ length: 2 * MAX }, (_, n) => userIn(n, 'visible'));
  for (const userId of visible) await comes(userId);
  const seen = new Set<string>();
  await eventually(
    async () => {
      const shown = await picture();
      expect(shown.length).toBeGreaterThanOrEqual(MAX - 1);
      for (const userId of shown) seen.add(userId);
      return visible.every((userId) => seen.has(userId));
    },
    (all) => all,
    30_000,
  );
});

test('who came while a web stood still is told of there, however many are here whom nobody may see', async () => {
  await hide(4);
  const web = await rollcall.addWeb();
  const viewer = await TestClient.connect(web.url, 'viewer');
  onTestFinished(async () => {
    viewer.leave();
    await web.end();
  });
  web.kill('SIGSTOP');
  const stream = rollcall.key('presence:{delivery}');
  // The first is on its line already when it stops; the other is not.
  const late = userIn(15, 'late');
  for (const userId of [userIn(14, 'first'), late]) {
    await comes(userId);
    await eventually(
      async () => JSON.stringify(await rollcall.redis.xrange(stream, '-', '+')),
      (told) => told.includes(userId),
    );
  }
  // As after half a minute: what was told meanwhile is no longer there.
  await rollcall.redis.xtrim(stream, 'MAXLEN', 0);
  web.kill('SIGCONT');
  await viewer.hears(late, isActive, { withinMs: 15_000 });
});
