import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { enter } from '../rooms/world.ts';
import { isActive, isInactive, Refused, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually, type Program, type WebProgram } from '../support/deployment.ts';

/** Both long enough to come back in, on a machine that has much else to do. */
const HANDOVER_MS = 3000;
const GRACE_MS = 3000;
let rollcall: Deployment;
/** Outlives every deploy of these tests. */
let stays: WebProgram;

beforeAll(async () => {
  rollcall = await Deployment.start('deploys', {
    env: { PRESENCE_TTL_SECONDS: '20', HEARTBEAT_INTERVAL_SECONDS: '2', HEARTBEAT_MIN_INTERVAL_SECONDS: '0' },
  });
  stays = rollcall.web(0);
});
afterAll(() => rollcall?.stop());

async function why(userId: string) {
  const path = `/users/${userId}/status?include=why`;
  return (await rest(stays.url, 'GET', path, { token: await tokenFor(userId) })).body.why;
}

async function sessionsOf(userId: string): Promise<string[]> {
  const { body } = await rest(stays.url, 'GET', `/users/${userId}/sessions`, { token: await tokenFor(userId) });
  return body.sessions.map((session: { sessionId: string }) => session.sessionId);
}

async function endsWell(program: Program, ...signals: NodeJS.Signals[]): Promise<number> {
  const from = performance.now();
  for (const signal of signals) program.kill(signal);
  expect(await program.exited).toEqual({ code: 0, signal: null });
  return performance.now() - from;
}

/** Of a moment that is known to lie between two others (Date.now()). */
function isBetween(moment: string | null, from: number, to: number, plusMs = 0): void {
  expect(Date.parse(moment ?? '') - plusMs).toBeGreaterThanOrEqual(from - 50);
  expect(Date.parse(moment ?? '') - plusMs).toBeLessThanOrEqual(to + 50);
}

describe('a grace for those who reload', () => {
  let lenient: WebProgram;
  beforeAll(async () => {
    lenient = await rollcall.addWeb({ DISCONNECT_GRACE_SECONDS: String(GRACE_MS / 1000) });
  });

  test.concurrent('whoever reloads within it is not noticed, with a device id or without', async () => {
    const watcher = await TestClient.connect(stays.url, 'g-watcher-1', { watch: ['reloads', 'named'] });
    let anonymous = await TestClient.connect(lenient.url, 'reloads');
    let named = await TestClient.connect(lenient.url, 'named', { deviceId: 'tab' });
    await watcher.hears('reloads', isActive);
    await watcher.hears('named', isActive);
    const until = performance.now() + 1.5 * GRACE_MS;
    while (performance.now() < until) {
      anonymous.leave();
      named.leave();
      anonymous = await TestClient.connect(lenient.url, 'reloads');
      named = await TestClient.connect(lenient.url, 'named', { deviceId: 'tab' });
    }
    const token = await tokenFor('reloads');
    // What the reloads left behind ends quietly.
    const { sessions } = (await rest(stays.url, 'GET', '/users/reloads/sessions', { token })).body;
    expect(sessions.map((session: { sessionId: string }) => session.sessionId)).toContain(anonymous.sessionId);
    anonymous.leave();
    named.leave();
    await watcher.hears('reloads', isInactive);
    await watcher.hears('named', isInactive);
    expect(watcher.statuses('reloads')).toEqual(['active', 'inactive']);
    expect(watcher.statuses('named')).toEqual(['active', 'inactive']);
    watcher.leave();
  });

  test.concurrent('whoever reloads goes on in the rooms that the new connection names, with since and what was said; what it does not name or join again ends, and what nobody comes back to', async () => {
    const [web, kept] = [rollcall.webs.indexOf(lenient), 'doc:kept'];
    const watcher = await enter(rollcall, 0, 'g-watcher-3');
    for (const roomId of [kept, 'doc:unnamed', 'doc:unclaimed']) await watcher.watch(roomId);
    const first = await enter(rollcall, web, 'roams');
    const { users } = await first.join(kept, { n: 1 });
    for (const roomId of ['doc:unnamed', 'doc:unclaimed']) await first.join(roomId);
    await watcher.sees('doc:unclaimed', ['roams']);
    const closes = async ({ client }: typeof first) => {
      client.leave();
      await eventually(
        () => why('roams'),
        (known) => known?.rule === 'disconnect',
      );
    };
    await closes(first);
    const named = [kept, 'doc:unclaimed'].map((roomId) => ({ roomId }));
    const second = await enter(rollcall, web, 'roams', { named });
    expect(second.client.ready?.rooms?.[0]?.users).toEqual(users);
    await watcher.sees('doc:unnamed', []);
    await closes(second);
    // Which names none, and says only of one that it goes on there.
    const third = await enter(rollcall, web, 'roams');
    expect((await third.join(kept)).users).toEqual(users);
    await watcher.sees('doc:unclaimed', []);
    expect(watcher.users(kept)).toEqual(users);
    third.client.leave();
    await watcher.sees(kept, []);
    const toldOf = watcher.told.filter(({ roomId }) => roomId === kept);
    expect(toldOf.map(({ joined, left }) => [joined?.length, left?.length])).toEqual([
      [1, 0],
      [0, 1],
    ]);
    watcher.client.leave();
  });

  test.concurrent('whoever does not return is inactive after it, last seen at the closing', async () => {
    const watcher = await TestClient.connect(stays.url, 'g-watcher-2', { watch: ['leaves'] });
    const leaves = await TestClient.connect(lenient.url, 'leaves');
    await watcher.hears('leaves', isActive);
    const at = performance.now();
    const closing = Date.now();
    leaves.leave();
    const { rule, nextChangeAt } = await eventually(
      () => why('leaves'),
      (told) => told.rule === 'disconnect',
      GRACE_MS - 100,
    );
    const seen = Date.now();
    isBetween(nextChangeAt, closing, seen, GRACE_MS);
    expect(rule).toBe('disconnect');
    const gone = await watcher.hears('leaves', isInactive, { withinMs: GRACE_MS + 2000 });
    expect(gone.heardAt - at).toBeGreaterThanOrEqual(GRACE_MS - 10);
    isBetween(gone.lastSeen, closing, seen);
    expect(await why('leaves')).toMatchObject({ rule: 'disconnect', sessionId: leaves.sessionId, nextChangeAt: null });
    watcher.leave();
  });
});

describe('a deploy', () => {
  let goes: WebProgram;
  beforeEach(async () => {
    goes = await rollcall.addWeb({ HANDOVER_SECONDS: String(HANDOVER_MS / 1000) });
  });

  test('tells every client when to come back, is not noticed of those who do, and ends with 0', async () => {
    const users = ['named', 'nameless', 'elsewhere', 'gone'].map((name) => `d-${name}`);
    const [named = '', nameless = '', elsewhere = '', gone = ''] = users;
    const watcher = await TestClient.connect(stays.url, 'd-watcher', { watch: users });
    const service = await tokenFor('d-service', { scope: 'presence:read' });
    const insider = await TestClient.connect(stays.url, 'd-service', { token: service, watch: [gone] });
    const clients = await Promise.all(
      users.map((userId) => TestClient.connect(goes.url, userId, userId === named ? { deviceId: 'laptop' } : {})),
    );
    const other = await TestClient.connect(stays.url, elsewhere);
    const observer = await TestClient.connect(goes.url, 'd-observer', {
      token: await tokenFor('d-observer', { scope: 'presence:read' }),
    });
    for (const userId of users) await watcher.hears(userId, isActive);

    const from = Date.now();
    const drained = endsWell(goes, 'SIGTERM', 'SIGTERM');
    for (const client of [...clients, observer]) {
      const closed = await client.isClosed();
      expect(closed).toEqual({ reason: 'draining', reconnect: true, afterMs: expect.any(Number) });
      expect(closed.afterMs).toBeGreaterThanOrEqual(0);
      expect(closed.afterMs).toBeLessThanOrEqual(HANDOVER_MS / 2);
      // As a closed transport, after which Socket.IO's own client comes back.
      expect(await client.isDisconnected()).toBe('transport close');
    }
    const told = Date.now();
    const [namedAgain, namelessAgain] = await Promise.all([
      TestClient.connect(stays.url, named, { deviceId: 'laptop' }),
      TestClient.connect(stays.url, nameless),
    ]);
    expect(namedAgain.sessionId).toBe(clients[0]?.sessionId);
    expect(await why(gone)).toMatchObject({ rule: 'handover', sessionId: clients[3]?.sessionId });
    const left = await watcher.hears(gone, isInactive, { withinMs: HANDOVER_MS + 2500 });
    isBetween(left.lastSeen, from, told);
    expect(Date.now() - from).toBeGreaterThanOrEqual(HANDOVER_MS - 50);
    expect(await why(gone)).toMatchObject({ rule: 'handover', nextChangeAt: null });
    const recorded = await eventually(
      () => rollcall.db('status_transitions').where({ user_id: gone }).orderBy('version', 'desc').first(),
      (found) => found?.status === 'inactive',
      2000,
    );
    expect(recorded.cause).toBe('handover');
    expect((await insider.hears(gone, isInactive)).cause).toBe('handover');
    insider.leave();
    expect(await drained).toBeLessThan(25_000);

    for (const client of [namedAgain, namelessAgain, other]) client.leave();
    for (const userId of [named, nameless, elsewhere]) {
      await watcher.hears(userId, isInactive);
      expect(watcher.statuses(userId)).toEqual(['active', 'inactive']);
    }
    expect(watcher.statuses(gone)).toEqual(['active', 'inactive']);
    watcher.leave();
  });

  test('ends a connection without a device id where its user has another one: closing that makes inactive at once', async () => {
    const users = ['d-both', 'd-two'];
    const patient = await rollcall.addWeb({ HANDOVER_SECONDS: '15' });
    const watcher = await TestClient.connect(stays.url, 'd-watcher-2', { watch: users });
    const elsewhere = await TestClient.connect(stays.url, 'd-both', { deviceId: 'laptop' });
    const drained: TestClient[] = [];
    for (const userId of ['d-both', 'd-two', 'd-two']) drained.push(await TestClient.connect(patient.url, userId));
    for (const userId of users) await watcher.hears(userId, isActive);
    const ended = endsWell(patient, 'SIGTERM');
    for (const client of drained) await client.isClosed();
    expect(await sessionsOf('d-both')).toEqual([elsewhere.sessionId]);
    const closing = Date.now();
    elsewhere.leave();
    const gone = await watcher.hears('d-both', isInactive);
    isBetween(gone.lastSeen, closing, Date.now());
    expect(await why('d-both')).toMatchObject({ rule: 'disconnect', sessionId: elsewhere.sessionId });
    // Of two that go together one is waited for.
    expect(await sessionsOf('d-two')).toEqual([drained[2]?.sessionId]);
    const back = await TestClient.connect(stays.url, 'd-two');
    expect(await sessionsOf('d-two')).toEqual([back.sessionId]);
    await ended;
    expect(watcher.statuses('d-both')).toEqual(['active', 'inactive']);
    expect(watcher.statuses('d-two')).toEqual(['active']);
    for (const client of [back, watcher]) client.leave();
  });

  test('lets nobody in any more and leaves nobody without an answer; a plain Socket.IO client comes back by itself', async () => {
    const port = new URL(goes.url).port;
    const plain = await TestClient.connect(goes.url, 'd-plain', { deviceId: 'tab', reconnection: true });
    const { sessionId } = plain;
    const ended = endsWell(goes, 'SIGTERM');
    await plain.isClosed();
    // Refused by a word or by a closed port.
    await expect(TestClient.connect(goes.url, 'd-late')).rejects.toBeInstanceOf(Refused);
    expect(await rollcall.redis.get(rollcall.key('user:status:d-late'))).toBeNull();
    await ended;
    plain.ready = null;
    await rollcall.addWeb({ PORT: port });
    const ready = await plain.until(() => plain.ready ?? undefined, 'ready again', 15_000);
    expect(ready.sessionId).toBe(sessionId);
    plain.leave();
  });
});

test('a worker that is told to go while it has its hands full ends with 0 and loses nothing', async () => {
  const users = Array.from({ length: 60 }, (_, n) => `busy-${n}`);
  const watcher = await TestClient.connect(stays.url, 'busy-watcher', { watch: users });
  const worker = await rollcall.addWorker();
  const clients = await Promise.all(users.map((userId) => TestClient.connect(stays.url, userId)));
  const ended = Promise.all([endsWell(worker, 'SIGTERM', 'SIGTERM'), endsWell(rollcall.worker(0), 'SIGTERM')]);
  for (const client of clients) client.leave();
  for (const took of await ended) expect(took).toBeLessThan(25_000);
  await rollcall.addWorker();
  for (const userId of users) {
    await watcher.hears(userId, isInactive);
    expect(watcher.statuses(userId)).toEqual(['active', 'inactive']);
  }
  watcher.leave();
});
