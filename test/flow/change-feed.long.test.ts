import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChangesAnswer, FeedChange } from '../../src/protocol/changes.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { isOfUser } from '../support/webhook-receiver.ts';

/** Nobody has to beat. */
const LASTING = { PRESENCE_TTL_SECONDS: '600', HEARTBEAT_INTERVAL_SECONDS: '300', HEARTBEAT_MIN_INTERVAL_SECONDS: '0' };
const LONG_MS = 40_000;
const WAIT_SECONDS = 30;

let rollcall: Deployment;
let host: string;

beforeAll(async () => {
  rollcall = await Deployment.start('change feed', { webs: 2, workers: 2, env: LASTING });
  host = await tokenFor('host', { scope: 'presence:read presence:write' });
});
afterAll(() => rollcall?.stop());

async function ask(query: Record<string, string | number>, url = rollcall.url) {
  const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  return rest(url, 'GET', `/changes?${search}`, { token: host });
}

async function read(query: Record<string, string | number>, url?: string): Promise<ChangesAnswer> {
  const { status, body } = await ask(query, url);
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}

const begin = async () => (await read({})).nextCursor;

/** Reads on until it has what it wants. */
async function readUntil(after: string, enough: (changes: FeedChange[]) => boolean, limit = 100, url = rollcall.url) {
  const until = performance.now() + LONG_MS;
  const changes: FeedChange[] = [];
  for (let cursor = after; !enough(changes); ) {
    if (performance.now() > until) throw new Error(`Only ${JSON.stringify(changes)}`);
    const page = await read({ after: cursor, limit, wait: WAIT_SECONDS }, url);
    changes.push(...page.changes.filter(isOfUser));
    cursor = page.nextCursor;
  }
  return changes;
}

test('without a cursor the feed begins now', async () => {
  const client = await TestClient.connect(rollcall.url, 'earlier', { watch: [] });
  await readUntil(await begin(), () => true);
  await eventually(
    () => rollcall.db('changes').where({ user_id: 'earlier' }),
    (rows) => rows.length === 1,
    LONG_MS,
  );
  const { changes, nextCursor } = await read({});
  expect(changes).toEqual([]);
  expect(await read({ after: nextCursor })).toEqual({ changes: [], nextCursor });
  client.leave();
});

test('a reader sees every transition of everybody once, each user in order, whichever worker recorded it', async () => {
  const after = await begin();
  const users = Array.from({ length: 80 }, (_, n) => `crowd-${n}`);
  const visits = 3;
  const visit = async (userId: string, n: number) => {
    for (let time = 0; time < visits; time++) {
      const url = rollcall.web((n + time) % 2).url;
      const client = await TestClient.connect(url, userId, { watch: [userId] });
      client.leave();
    }
  };
  const ours = ({ userId }: FeedChange) => userId.startsWith('crowd-');
  const reading = readUntil(after, (changes) => changes.filter(ours).filter(isInactive).length >= users.length, 7);
  await Promise.all(users.map(visit));
  await reading;
  // Who came back at once was not away: how many transitions there are, the history knows.
  const recorded = async () => {
    const rows = await rollcall
      .db('status_transitions')
      .where('user_id', 'like', 'crowd-%')
      .orderBy(['user_id', 'version']);
    return rows.map(
      (row) => `${row.user_id} ${row.version} ${row.status} ${row.cause} ${row.last_seen?.toISOString()}`,
    );
  };
  // Everybody has left, and PostgreSQL knows of that leaving, not only of one before it.
  const asked = { token: host, body: { userIds: users } };
  const left = await eventually<{ userId: string; status: string; version: number }[]>(
    async () => (await rest(rollcall.url, 'POST', '/users/status/query?include=version', asked)).body.users ?? [],
    (some) => some.length === users.length && some.every(isInactive),
    LONG_MS,
  );
  const versions = new Map<string, number>(left.map(({ userId, version }) => [userId, version]));
  await eventually(
    () => rollcall.db('users').where('id', 'like', 'crowd-%'),
    (rows) => rows.length === users.length && rows.every((row) => Number(row.version) >= (versions.get(row.id) ?? 0)),
    LONG_MS,
  );
  const history = await recorded();
  const changes = (await readUntil(after, (some) => some.filter(ours).length >= history.length, 7)).filter(ours);
  const byUser = [...Map.groupBy(changes, ({ userId }) => userId)].sort(([a], [b]) => (a < b ? -1 : 1));
  expect(
    byUser.flatMap(([userId, some]) =>
      some.map((change) => `${userId} ${change.version} ${change.status} ${change.cause} ${change.lastSeen}`),
    ),
  ).toEqual(history);
  expect(await recorded()).toEqual(history);
});

test('the feed says what is told to others: a choice to appear inactive, and no restored, detail or privacy', async () => {
  const after = await begin();
  const watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['ada'] });
  const ada = await TestClient.connect(rollcall.web(1).url, 'ada', { watch: [] });
  await watcher.hears('ada', isActive);
  await ada.socket.emitWithAck('set_detail', { text: 'busy' });
  await rest(rollcall.url, 'PUT', '/users/ada/settings', { token: host, body: { visibility: 'nobody' } });
  await ada.socket.emitWithAck('set_status', { status: 'inactive' });
  await ada.beat();
  ada.leave();
  const bob = await TestClient.connect(rollcall.url, 'bob', { watch: [] });
  // Two workers record, each some of the users: what happened first need not be told first.
  const isTold = (some: FeedChange[], id: string, status: string) =>
    some.some((change) => change.userId === id && change.status === status);
  const changes = await readUntil(after, (some) => isTold(some, 'bob', 'active') && isTold(some, 'ada', 'inactive'));
  const ofAda = changes.filter(({ userId }) => userId === 'ada');
  expect(ofAda.map(({ status, cause }) => `${status} ${cause}`)).toEqual(['active connect', 'inactive manual']);
  expect(ofAda[1]?.lastSeen).toBe(ofAda[1]?.at);
  const { body } = await rest(rollcall.url, 'GET', '/users/ada/status', { token: host });
  expect(ofAda[1]).toMatchObject(body);
  for (const client of [watcher, bob]) client.leave();
});

describe('waiting', () => {
  test('ends as soon as there is something to tell', async () => {
    const after = await begin();
    const told = (changes: FeedChange[]) => changes.some(({ userId }) => userId === 'awaited');
    const waiting = Array.from({ length: 20 }, (_, n) => readUntil(after, told, 100, rollcall.web(n % 2).url));
    const from = performance.now();
    const client = await TestClient.connect(rollcall.url, 'awaited', { watch: [] });
    await Promise.all(waiting);
    expect(performance.now() - from).toBeLessThan(WAIT_SECONDS * 1000 - 1000);
    client.leave();
  });

  test('ends with nothing after the time asked for', async () => {
    // Whoever left a moment ago is told of first.
    await eventually(
      async () => {
        const from = performance.now();
        const { changes } = await read({ after: await begin(), wait: 1 });
        return { changes, waitedMs: performance.now() - from };
      },
      ({ changes, waitedMs }) => changes.length === 0 && waitedMs >= 990,
      LONG_MS,
    );
  });

  test('holds no connection to PostgreSQL', async () => {
    const after = await begin();
    const gone = new AbortController();
    const url = `${rollcall.url}/changes?after=${after}&wait=60`;
    const headers = { authorization: `Bearer ${host}` };
    // Many more than a process has connections.
    const waiting = Array.from({ length: 50 }, () => fetch(url, { headers, signal: gone.signal }).catch(() => null));
    await read({ after, wait: 1 });
    expect((await rest(rollcall.url, 'GET', '/users/awaited/history', { token: host })).status).toBe(200);
    gone.abort();
    await Promise.all(waiting);
    expect(rollcall.faults.filter((line) => /"process":"web"/.test(line))).toEqual([]);
  });

  test('ends at once where the process drains', async () => {
    const web = await rollcall.addWeb();
    let cursor = await begin();
    const waiting = (async () => {
      for (;;) {
        const page = await read({ after: cursor, wait: 60 }, web.url);
        if (page.changes.length === 0) return page;
        cursor = page.nextCursor;
      }
    })();
    await rest(web.url, 'GET', '/healthz');
    const from = performance.now();
    web.kill('SIGTERM');
    expect(await waiting).toEqual({ changes: [], nextCursor: expect.any(String) });
    expect((await web.exited).code).toBe(0);
    expect(performance.now() - from).toBeLessThan(8000);
    expect(web.lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });
});

test('a cursor of what is not kept any more is refused with a 410, and one of now works', async () => {
  const after = await begin();
  const client = await TestClient.connect(rollcall.url, 'late', { watch: [] });
  await readUntil(after, (changes) => changes.some(({ userId }) => userId === 'late'));
  await rollcall.db('change_feed').update({ dropped_through: rollcall.db.ref('last_position') });
  expect(await ask({ after, wait: 30 })).toMatchObject({ status: 410, body: { code: 'CURSOR_TOO_OLD' } });
  const now = await begin();
  client.leave();
  const changes = await readUntil(now, (some) => some.some(({ userId }) => userId === 'late'));
  expect(changes.at(-1)).toMatchObject({ status: 'inactive', cause: 'disconnect' });
});
