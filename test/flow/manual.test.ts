import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isActive, isInactive, Refused, rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually } from '../support/deployment.ts';

const TTL_MS = 3000;
let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('manual', {
    env: { ...BRISK, HEARTBEAT_MIN_INTERVAL_SECONDS: '0.5', MAX_WATCHED_USERS: '4' },
  });
});
afterAll(() => rollcall?.stop());

async function post(userId: string, status: 'active' | 'inactive', expiresInSeconds?: number) {
  const body = { status, ...(expiresInSeconds === undefined ? {} : { expiresInSeconds }) };
  const answer = await rest(rollcall.url, 'POST', '/users/status', { token: await tokenFor(userId), body });
  expect(answer.status).toBe(200);
  return answer.body;
}

async function look(userId: string) {
  const path = `/users/${userId}/status?include=devices,why`;
  return (await rest(rollcall.url, 'GET', path, { token: await tokenFor(userId) })).body;
}

const watching = (...userIds: string[]) =>
  TestClient.connect(rollcall.url, `watcher-of-${userIds[0]}`, { watch: userIds, heartbeat: 'pong' });
/** Beats by answering pings, once a second. */
const staying = (userId: string, auth: Record<string, unknown> = {}) =>
  TestClient.connect(rollcall.url, userId, { heartbeat: 'pong', ...auth });
const redisValue = (name: string) => rollcall.redis.get(rollcall.key(name));
const row = (userId: string) => rollcall.db('users').where({ id: userId }).first();

describe.concurrent('appearing inactive', () => {
  test('hides whatever the connections do; what others see of the last seen stands still while beats go on', async () => {
    const watcher = await watching('ada');
    const ada = await staying('ada', { deviceId: 'phone' });
    await watcher.hears('ada', isActive);
    const answer = await ada.socket.emitWithAck('set_status', { status: 'inactive' });
    expect(answer).toEqual({ ok: true, userId: 'ada', status: 'inactive', lastSeen: expect.any(String) });
    const hidden = await watcher.hears('ada', isInactive);
    expect(answer).toMatchObject({ lastSeen: hidden.lastSeen });
    expect(Math.abs(Date.parse(hidden.lastSeen ?? '') - Date.now())).toBeLessThan(2000);
    // Pongs for longer than a TTL, a heartbeat, a second device, one that leaves, one that comes back.
    await eventually(
      () => look('ada'),
      () => performance.now() - hidden.heardAt > TTL_MS + 500,
      TTL_MS + 3000,
    );
    expect(await ada.beat('idle')).toMatchObject({ ok: true });
    const tablet = await staying('ada', { deviceId: 'tablet' });
    ada.leave();
    const again = await staying('ada', { deviceId: 'phone' });
    tablet.leave();
    await again.beat('active');
    const own = await look('ada');
    expect(own).toMatchObject({ status: 'inactive', lastSeen: hidden.lastSeen, devices: [] });
    expect(own.why).toEqual({
      rule: 'manual',
      sessionId: null,
      since: expect.any(String),
      nextChangeAt: null,
      source: null,
    });
    expect(await redisValue('user:status:ada')).toBeNull();
    expect(await redisValue('user:last_seen:ada')).toBe(hidden.lastSeen);
    expect((await row('ada')).last_seen.toISOString()).toBe(hidden.lastSeen);
    again.leave();
    const { redis, key } = { redis: rollcall.redis, key: rollcall.key('user:last_seen:ada') };
    await eventually(
      async () => (await rest(rollcall.url, 'GET', '/users/ada/sessions', { token: await tokenFor('ada') })).body,
      ({ sessions }) => sessions.length === 0,
    );
    expect(await redis.get(key)).toBe(hidden.lastSeen);
    const back = await staying('ada', { deviceId: 'phone' });
    expect(await post('ada', 'active')).toMatchObject({ status: 'active' });
    await watcher.hears('ada', isActive, { after: 2 });
    expect(watcher.statuses('ada')).toEqual(['active', 'inactive', 'active']);
    for (const client of [watcher, back]) client.leave();
  });

  test('ends on time by itself, and watchers hear of it within two seconds', async () => {
    const watcher = await watching('bea');
    const bea = await staying('bea');
    await watcher.hears('bea', isActive);
    const from = performance.now();
    await post('bea', 'inactive', 3);
    await watcher.hears('bea', isInactive);
    const { why } = await look('bea');
    expect(Math.abs(Date.parse(why.nextChangeAt) - Date.parse(why.since) - 3000)).toBeLessThanOrEqual(5);
    const back = await watcher.hears('bea', isActive, { after: 2, withinMs: 7000 });
    expect(back.heardAt - from).toBeGreaterThanOrEqual(2950);
    expect(back.heardAt - from).toBeLessThan(3000 + 2000 + 500);
    expect((await look('bea')).why.rule).toBe('heartbeat');
    for (const client of [watcher, bea]) client.leave();
  });

  test('that runs out while nobody is connected tells of nobody', async () => {
    const watcher = await watching('cal');
    const cal = await staying('cal');
    await watcher.hears('cal', isActive);
    const { lastSeen } = await post('cal', 'inactive', 3);
    cal.leave();
    await eventually(
      () => Date.now(),
      (now) => now > Date.parse(lastSeen) + 3200,
    );
    const later = await look('cal');
    expect(later).toMatchObject({ status: 'inactive', lastSeen });
    expect(later.why.rule).not.toBe('manual');
    const back = await staying('cal');
    await watcher.hears('cal', isActive, { after: 2 });
    expect(watcher.statuses('cal')).toEqual(['active', 'inactive', 'active']);
    for (const client of [watcher, back]) client.leave();
  });

  test('is ended by `active`, which is never too soon and counts as a heartbeat', async () => {
    const watcher = await watching('dot');
    const dot = await TestClient.connect(rollcall.url, 'dot');
    await watcher.hears('dot', isActive);
    await post('dot', 'inactive', 60);
    await watcher.hears('dot', isInactive);
    for (let n = 0; n < 5; n++) expect(await post('dot', 'active')).toMatchObject({ status: 'active' });
    let postedAt = 0;
    for (let n = 0; n < 5; n++) {
      postedAt = performance.now();
      const answer = await dot.socket.emitWithAck('set_status', { status: 'active' });
      expect(answer).toMatchObject({ ok: true, status: 'active' });
    }
    await watcher.hears('dot', isActive, { after: 2 });
    const gone = await watcher.hears('dot', isInactive, { after: 3, withinMs: TTL_MS + 2500 });
    expect(gone.heardAt - postedAt).toBeGreaterThan(TTL_MS - 200);
    for (const client of [watcher, dot]) client.leave();
  });

  test('survives reconnects, the loss of all that Redis knew of the user, and the first heartbeat after it', async () => {
    const watcher = await watching('eli');
    const eli = await staying('eli');
    await watcher.hears('eli', isActive);
    await post('eli', 'inactive');
    const hidden = await watcher.hears('eli', isInactive);
    await eventually(
      () => row('eli'),
      (found) => found?.status === 'inactive',
    );
    const keys = ['user:status:eli', 'user:last_seen:eli', 'user:sessions:eli'];
    expect(await rollcall.redis.del(keys.map((name) => rollcall.key(name)))).toBe(2);
    expect(await eli.beat()).toMatchObject({ ok: true });
    await eventually(
      () => rollcall.redis.exists(rollcall.key('user:sessions:eli')),
      (found) => found === 1,
    );
    expect(await look('eli')).toMatchObject({ status: 'inactive', lastSeen: hidden.lastSeen, why: { rule: 'manual' } });
    eli.leave();
    const back = await staying('eli');
    expect(await look('eli')).toMatchObject({ status: 'inactive', lastSeen: hidden.lastSeen, why: { rule: 'manual' } });
    await post('eli', 'active');
    await watcher.hears('eli', isActive, { after: 2 });
    expect(watcher.statuses('eli')).toEqual(['active', 'inactive', 'active']);
    for (const client of [watcher, back]) client.leave();
  });

  test('may be chosen before ever coming, and holds for the first visit', async () => {
    const watcher = await watching('flo');
    expect(await post('flo', 'inactive')).toEqual({ userId: 'flo', status: 'inactive', lastSeen: null });
    const flo = await staying('flo');
    expect(await look('flo')).toMatchObject({ status: 'inactive', lastSeen: null });
    await post('flo', 'active');
    await watcher.hears('flo', isActive);
    expect(watcher.statuses('flo')).toEqual(['active']);
    for (const client of [watcher, flo]) client.leave();
  });
});

describe.concurrent('posting active without a socket', () => {
  test('makes the user active for a TTL, and again with every post', async () => {
    const watcher = await watching('gil');
    expect(await post('gil', 'active')).toEqual({ userId: 'gil', status: 'active', lastSeen: expect.any(String) });
    const came = await watcher.hears('gil', isActive);
    expect((await look('gil')).devices).toEqual([{ kind: 'other', state: 'active' }]);
    await eventually(
      () => performance.now(),
      (now) => now - came.heardAt > TTL_MS / 2,
      TTL_MS,
    );
    const posted = performance.now();
    const { lastSeen } = await post('gil', 'active');
    const answered = performance.now();
    const gone = await watcher.hears('gil', isInactive, { withinMs: TTL_MS + 2500 });
    expect(gone.heardAt - posted).toBeGreaterThanOrEqual(TTL_MS - 50);
    expect(gone.heardAt - answered).toBeLessThanOrEqual(TTL_MS + 2000);
    expect(gone.lastSeen).toBe(lastSeen);
    expect((await look('gil')).why).toMatchObject({ rule: 'timeout', nextChangeAt: null });
    watcher.leave();
  });

  test('gives way to a socket without anybody hearing of it', async () => {
    const watcher = await watching('hal');
    await post('hal', 'active');
    await watcher.hears('hal', isActive);
    const hal = await TestClient.connect(rollcall.url, 'hal');
    const { sessions } = (await rest(rollcall.url, 'GET', '/users/hal/sessions', { token: await tokenFor('hal') }))
      .body;
    expect(sessions).toEqual([expect.objectContaining({ sessionId: hal.sessionId })]);
    hal.leave();
    await watcher.hears('hal', isInactive);
    expect(watcher.statuses('hal')).toEqual(['active', 'inactive']);
    watcher.leave();
  });
});

const coming = (userId: string, auth: Record<string, unknown> = {}) => staying(userId, { appear: 'inactive', ...auth });
/** Resolves when the watcher has been told of something later: whatever was to be told before has been. */
async function isAhead(watcher: TestClient, userId: string): Promise<void> {
  const marker = await TestClient.connect(rollcall.url, `marker-of-${userId}`);
  await watcher.watch(`marker-of-${userId}`);
  const text = `${Math.random()}`;
  await marker.socket.emitWithAck('set_detail', { text });
  await watcher.hears(`marker-of-${userId}`, ({ detail }) => detail?.text === text);
  marker.leave();
}

describe.concurrent('appearing inactive from the first moment', () => {
  test('who comes hidden is announced to nobody, services included, and moves no last seen', async () => {
    const watcher = await watching('una');
    const token = await tokenFor('host', { scope: 'presence:read' });
    const observer = await TestClient.connect(rollcall.url, 'host', { token, watch: ['una'] });
    const una = await coming('una', { watch: ['una'] });
    expect(una.ready?.users).toEqual([{ userId: 'una', status: 'inactive', lastSeen: null, version: 0 }]);
    expect(await look('una')).toMatchObject({
      status: 'inactive',
      lastSeen: null,
      devices: [],
      why: { rule: 'manual' },
    });
    expect(await redisValue('user:status:una')).toBeNull();
    expect(await row('una')).toMatchObject({ hidden: true, hidden_until: null, last_seen: null });
    await una.beat();
    await isAhead(watcher, 'una');
    await isAhead(observer, 'una');
    for (const client of [watcher, observer, una]) expect(client.of('una')).toEqual([]);
    await una.socket.emitWithAck('set_status', { status: 'active' });
    expect(await observer.hears('una', isActive)).toMatchObject({ cause: 'manual', lastSeen: expect.any(String) });
    await watcher.hears('una', isActive);
    for (const client of [watcher, observer, una]) client.leave();
  });

  test('outlives all that Redis knew, and the connection', async () => {
    const ulf = await coming('ulf', { deviceId: 'phone' });
    await rollcall.redis.del(rollcall.key('user:sessions:ulf'));
    await ulf.beat();
    await eventually(
      () => look('ulf'),
      ({ why }) => why.rule === 'manual',
    );
    ulf.leave();
    const later = await staying('ulf');
    expect((await look('ulf')).status).toBe('inactive');
    later.leave();
    const token = await tokenFor('ulf');
    expect((await rest(rollcall.url, 'POST', '/users/logout', { token, body: {} })).status).toBe(204);
    const back = await staying('ulf');
    expect((await look('ulf')).status).toBe('active');
    back.leave();
  });

  test('a connection that goes on with a session chooses nothing anew', async () => {
    const watcher = await watching('uma');
    const uma = await staying('uma', { deviceId: 'phone' });
    await watcher.hears('uma', isActive);
    const again = await coming('uma', { deviceId: 'phone' });
    await uma.isClosed();
    // Nor does another device of somebody who is here.
    const tablet = await coming('uma', { deviceId: 'tablet' });
    expect((await look('uma')).status).toBe('active');
    tablet.leave();
    await isAhead(watcher, 'uma');
    expect(watcher.statuses('uma')).toEqual(['active']);
    expect((await row('uma'))?.hidden ?? false).toBe(false);
    again.leave();
    const hidden = await watcher.hears('uma', isInactive);
    // Of somebody who was seen before, the last seen stays where it was.
    const come = await coming('uma');
    expect(await look('uma')).toMatchObject({ status: 'inactive', lastSeen: hidden.lastSeen });
    for (const client of [watcher, come]) client.leave();
  });

  test('a handshake that is refused leaves no choice behind', async () => {
    const refused = (auth: Record<string, unknown>) =>
      coming('udo', auth).then(
        () => 'let in',
        (error) => (error instanceof Refused ? error.code : error),
      );
    expect(await refused({ appear: 'active' })).toBe('INVALID_REQUEST');
    expect(await refused({ appear: true })).toBe('INVALID_REQUEST');
    expect(await refused({ watch: ['u1', 'u2', 'u3', 'u4', 'u5'] })).toBe('TOO_MANY_WATCHED');
    const here = await staying('udo');
    expect((await look('udo')).status).toBe('active');
    expect((await row('udo'))?.hidden ?? false).toBe(false);
    here.leave();
  });
});
