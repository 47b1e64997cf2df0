import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Heard, isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually } from '../support/deployment.ts';

const TTL_MS = 3000;
const APART_MS = 2000;
let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('idle', { webs: 2, env: { ...BRISK, HEARTBEAT_MIN_INTERVAL_SECONDS: '0' } });
});
afterAll(() => rollcall?.stop());

/** On the other web than those who are watched. */
const watching = (userId: string, auth: Record<string, unknown> = {}) =>
  TestClient.connect(rollcall.web(1).url, `watcher-of-${userId}`, { watch: [userId], heartbeat: 'pong', ...auth });
const staying = (userId: string, auth: Record<string, unknown> = {}) =>
  TestClient.connect(rollcall.web(0).url, userId, { heartbeat: 'pong', ...auth });
const isIdle = (change: Heard) => change.detail?.idle === true;
const isBack = (change: Heard) => change.detail !== undefined && change.detail.idle === undefined;

async function get(userId: string, include: string, as = 'somebody') {
  const token = await tokenFor(as);
  return (await rest(rollcall.url, 'GET', `/users/${userId}/status?include=${include}`, { token })).body;
}

describe.concurrent('idle', () => {
  test('is who has no device in use: told live with since when, shown by every door, and over with the next input', async () => {
    const watcher = await watching('ada');
    const [laptop, phone] = [await staying('ada'), await staying('ada', { device: { kind: 'mobile' } })];
    const came = await watcher.hears('ada', isActive);
    await laptop.beat('idle');
    const before = Date.now();
    await phone.beat('idle');
    const idle = await watcher.hears('ada', isIdle);
    // Not told while the phone was in use.
    expect(watcher.of('ada')).toHaveLength(2);
    expect(idle).toMatchObject({ status: 'active', detail: { idle: true, idleSince: expect.any(String) } });
    expect(Object.keys(idle)).not.toContain('cause');
    expect(idle.version).toBeGreaterThan(came.version);
    const since = Date.parse(idle.detail?.idleSince ?? '');
    expect(Math.abs(since - before)).toBeLessThan(1000);
    const shown = await get('ada', 'detail,devices,version');
    expect(shown).toMatchObject({ detail: idle.detail, version: idle.version, status: 'active' });
    expect(shown.devices.map(({ state }: { state: string }) => state)).toEqual(['idle', 'idle']);
    const late = await watching('ada');
    expect(late.ready?.users).toEqual([expect.objectContaining({ detail: idle.detail, version: idle.version })]);
    await laptop.beat('active');
    // A pong says nothing of input, and neither does a heartbeat without a state.
    await phone.beat();
    const back = await watcher.hears('ada', isBack, { after: 2, withinMs: APART_MS + 2000 });
    expect(back).toMatchObject({ status: 'active', detail: {} });
    expect(await get('ada', 'detail')).toMatchObject({ detail: {} });
    for (const client of [watcher, late, laptop, phone]) client.leave();
  });

  test('is told alone at most once in two seconds, the newest in the end, however often somebody comes and goes', async () => {
    const watcher = await watching('bob');
    const bob = await staying('bob');
    await watcher.hears('bob', isActive);
    for (let n = 0; n < 20; n++) await bob.beat(n % 2 === 0 ? 'idle' : 'active');
    await bob.beat('idle');
    const last = await get('bob', 'detail');
    expect(last.detail.idle).toBe(true);
    await watcher.hears('bob', ({ detail }) => detail?.idleSince === last.detail.idleSince, {
      withinMs: APART_MS + 2000,
    });
    const heard = watcher.of('bob').slice(1);
    for (const [n, { version }] of heard.entries()) {
      if (n > 0) expect(version - (heard[n - 1]?.version ?? 0)).toBeGreaterThanOrEqual(APART_MS);
    }
    // Whatever else they say is told at once, and what they may say is as much as before.
    for (let n = 0; n < 30; n++) await bob.socket.emitWithAck('set_detail', { text: `n${n}` });
    const said = await watcher.hears('bob', ({ detail }) => detail?.text === 'n29');
    expect(said.detail).toEqual({ text: 'n29', ...last.detail });
    expect(watcher.of('bob').slice(1 + heard.length)).toHaveLength(30);
    for (const client of [watcher, bob]) client.leave();
  });

  test('is nobody who is away or appears inactive', async () => {
    const watcher = await watching('cal');
    const cal = await staying('cal');
    await cal.socket.emitWithAck('set_detail', { emoji: '🌴' });
    await cal.beat('idle');
    const idle = await watcher.hears('cal', isIdle);
    await cal.socket.emitWithAck('set_status', { status: 'inactive' });
    expect((await watcher.hears('cal', isInactive)).detail).toEqual({});
    const hidden = await get('cal', 'detail,devices,version');
    expect(hidden).toMatchObject({ status: 'inactive', detail: {}, devices: [] });
    // Nor does the version tell that something is said or done meanwhile.
    await cal.socket.emitWithAck('set_detail', { text: 'secret' });
    await cal.socket.emitWithAck('set_detail', { emoji: '🌴' });
    await cal.beat('active');
    await cal.beat('idle');
    expect(await get('cal', 'detail,devices,version')).toEqual(hidden);
    await cal.socket.emitWithAck('set_status', { status: 'active' });
    const after = watcher.of('cal').findIndex(isInactive);
    const again = await watcher.hears('cal', isActive, { after });
    expect(again.detail).toEqual({ ...idle.detail, idleSince: expect.any(String) });
    cal.leave();
    expect((await watcher.hears('cal', isInactive, { after: after + 1 })).detail).toEqual({ emoji: '🌴' });
    expect(await get('cal', 'detail')).toMatchObject({ status: 'inactive', detail: { emoji: '🌴' } });
    watcher.leave();
  });

  test('is who has a device in use no more: it leaves, is signed out, or falls silent', async () => {
    const watcher = await watching('dan');
    const left = async (end: (inUse: TestClient) => unknown, auth: Record<string, unknown>) => {
      const inUse = await staying('dan', auth);
      await watcher.hears('dan', isBack, { after: watcher.of('dan').length - 1, withinMs: APART_MS + 2000 });
      const after = watcher.of('dan').length;
      await end(inUse);
      return watcher.hears('dan', isIdle, { after, withinMs: TTL_MS + APART_MS + 2000 });
    };
    const idler = await staying('dan');
    await idler.beat('idle');
    await watcher.hears('dan', isIdle);
    await left((inUse) => inUse.leave(), {});
    await left((inUse) => inUse.socket.emitWithAck('logout', {}), {});
    let silentAt = 0;
    const silent = await left(
      (inUse) => {
        inUse.fallSilent();
        silentAt = Date.now();
      },
      { heartbeat: 'event' },
    );
    const since = Date.parse(silent.detail?.idleSince ?? '');
    expect(since).toBeLessThanOrEqual(silentAt + TTL_MS);
    expect(silent.version - since).toBeLessThan(APART_MS);
    for (const client of [watcher, idler]) client.leave();
  }, 30_000);

  test('stays whose device comes back, until that says otherwise', async () => {
    const watcher = await watching('eli');
    const eli = await staying('eli', { deviceId: 'laptop' });
    await watcher.hears('eli', isActive);
    await eli.beat('idle');
    const idle = await watcher.hears('eli', isIdle);
    const again = await staying('eli', { deviceId: 'laptop' });
    await eli.isClosed();
    expect(await get('eli', 'detail,devices')).toMatchObject({ detail: idle.detail, devices: [{ state: 'idle' }] });
    await again.beat('active');
    await watcher.hears('eli', isBack, { withinMs: APART_MS + 2000 });
    expect(watcher.of('eli')).toHaveLength(3);
    for (const client of [watcher, again]) client.leave();
  });

  test('since when is for those alone who may know the last seen', async () => {
    const [token, flo] = [await tokenFor('flo'), await staying('flo')];
    await rest(rollcall.url, 'PUT', '/users/flo/settings', { token, body: { lastSeenVisibility: 'nobody' } });
    const watcher = await watching('flo');
    await flo.beat('idle');
    expect((await watcher.hears('flo', isIdle)).detail).toEqual({ idle: true });
    expect(await get('flo', 'detail,version')).toMatchObject({ lastSeen: null, detail: { idle: true }, version: 0 });
    const late = await watching('flo');
    expect(late.ready?.users?.[0]).toMatchObject({ detail: { idle: true }, version: 0 });
    expect(late.ready?.users?.[0]?.detail).not.toHaveProperty('idleSince');
    expect((await get('flo', 'detail', 'flo')).detail.idleSince).toEqual(expect.any(String));
    for (const client of [watcher, late, flo]) client.leave();
  });
});

describe.concurrent('why', () => {
  test('services and the user are told why, and nobody else is', async () => {
    const service = await tokenFor('host', { scope: 'presence:read' });
    const observer = await TestClient.connect(rollcall.url, 'host', { token: service, watch: ['gil'] });
    const batched = await TestClient.connect(rollcall.url, 'host', { token: service, watch: ['gil'], batch: true });
    const watcher = await watching('gil');
    const gil = await staying('gil', { watch: ['gil'] });
    for (const client of [observer, batched]) await client.hears('gil', isActive);
    const done = async (work: () => Promise<unknown>) => {
      const heard = [observer, batched].map((client) => [client, client.of('gil').length] as const);
      await work();
      for (const [client, after] of heard) await client.hears('gil', () => true, { after });
    };
    await done(() => gil.socket.emitWithAck('set_detail', { text: 'here' }));
    await done(() => gil.beat('idle'));
    await done(() => gil.socket.emitWithAck('set_status', { status: 'inactive' }));
    await done(() => gil.socket.emitWithAck('set_status', { status: 'active' }));
    const causes = ['connect', 'detail', 'detail', 'manual', 'manual'];
    await eventually(
      () => gil.of('gil').map(({ cause }) => cause),
      (told) => told.join() === causes.slice(1).join(),
    );
    await done(async () => gil.leave());
    const late = await TestClient.connect(rollcall.url, 'host', { token: service, watch: ['gil'] });
    expect(late.ready?.users?.[0]).not.toHaveProperty('cause');
    for (const client of [observer, batched]) {
      expect(client.of('gil').map(({ cause }) => cause)).toEqual([...causes, 'disconnect']);
    }
    await watcher.hears('gil', isInactive, { after: 5 });
    expect(watcher.of('gil')).toHaveLength(6);
    for (const change of watcher.of('gil')) expect(change).not.toHaveProperty('cause');
    for (const client of [observer, batched, late, watcher]) client.leave();
  });

  test('is told of every change: silence, a heartbeat, the end of a choice, a loss, a logout, an erasure', async () => {
    const service = await tokenFor('host', { scope: 'presence:write' });
    const observer = await TestClient.connect(rollcall.web(1).url, 'host', { token: service, watch: ['ivy', 'jim'] });
    const watcher = await TestClient.connect(rollcall.web(1).url, 'stranger', { watch: ['ivy', 'jim'] });
    const [ivy, jim] = [await TestClient.connect(rollcall.web(0).url, 'ivy', { watch: ['ivy'] }), await staying('jim')];
    const next = async (userId: string, work: () => unknown) => {
      const after = observer.of(userId).length;
      await work();
      const { status, cause } = await observer.hears(userId, () => true, { after });
      return `${status}: ${cause}`;
    };
    const act = (method: string, path: string, body?: object) =>
      rest(rollcall.url, method, path, { token: service, ...(body && { body }) });
    await observer.hears('ivy', isActive);
    expect(await next('ivy', () => {})).toBe('inactive: timeout');
    expect(await next('ivy', () => ivy.beat())).toBe('active: heartbeat');
    const beats = setInterval(() => void ivy.beat().catch(() => {}), 500);
    const hide = { userId: 'ivy', status: 'inactive', expiresInSeconds: 2 };
    expect(await next('ivy', () => act('POST', '/users/status', hide))).toBe('inactive: manual');
    expect(await next('ivy', () => {})).toBe('active: manual');
    const lost = ['user:sessions:ivy', 'user:status:ivy'].map((name) => rollcall.key(name));
    // As active by PostgreSQL, who knows what Redis told before it lost it.
    const { version } = observer.of('ivy').at(-1) ?? {};
    await eventually(
      () => rollcall.db('users').where({ id: 'ivy' }).first(),
      (row) => Number(row?.version) === version,
    );
    // Said at once: who is not there at some moment without a word is looked after by others.
    const loses = async () => {
      await rollcall.redis.del(lost);
      await ivy.beat();
    };
    expect(await next('ivy', loses)).toBe('active: restored');
    clearInterval(beats);
    await ivy.hears('ivy', ({ cause }) => cause === 'restored');
    const own = ivy.of('ivy').map(({ status, cause }) => `${status}: ${cause}`);
    expect(await next('ivy', () => act('POST', '/users/logout', { userId: 'ivy' }))).toBe('inactive: logout');
    expect(own).toEqual(
      observer
        .of('ivy')
        .slice(1, -1)
        .map(({ status, cause }) => `${status}: ${cause}`),
    );
    expect(await next('jim', () => act('DELETE', '/users/jim'))).toBe('inactive: erased');
    await watcher.hears('jim', isInactive);
    for (const change of watcher.heard) expect(change).not.toHaveProperty('cause');
    for (const client of [observer, watcher, ivy, jim]) client.leave();
  }, 30_000);
});

test('a list of users is asked for all that one is, and refuses what one does', async () => {
  const hal = await staying('hal', { device: { kind: 'desktop' } });
  await hal.socket.emitWithAck('set_detail', { availability: 'busy' });
  const query = async (include: string, userIds: string[], as = 'somebody', claims = {}) => {
    const token = await tokenFor(as, claims);
    return rest(rollcall.url, 'POST', `/users/status/query?include=${include}`, { token, body: { userIds } });
  };
  const { body } = await query('version,detail,devices', ['hal', 'nobody', 'hal']);
  const one = await get('hal', 'detail,devices,version');
  expect(one).toMatchObject({ detail: { availability: 'busy' }, devices: [{ kind: 'desktop', state: 'active' }] });
  // Heard of meanwhile, they were seen later.
  const shown = { ...one, lastSeen: expect.any(String) };
  const never = { userId: 'nobody', status: 'inactive', lastSeen: null, detail: {}, devices: [], version: 0 };
  expect(body.users).toEqual([shown, never, shown]);
  expect((await query('why', ['hal'])).body.code).toBe('FORBIDDEN');
  expect((await query('why', ['hal', 'ada'], 'hal')).body.code).toBe('FORBIDDEN');
  expect((await query('why,nothing', ['hal'], 'hal')).body.code).toBe('INVALID_REQUEST');
  const own = (await query('why', ['hal'], 'hal')).body.users;
  expect(own).toMatchObject([{ why: { rule: 'heartbeat', sessionId: hal.sessionId } }]);
  const all = (await query('why', ['hal', 'nobody'], 'host', { scope: 'presence:read' })).body.users;
  expect(all).toMatchObject([
    { why: { rule: 'heartbeat' } },
    { why: { rule: 'timeout', sessionId: null, since: null, nextChangeAt: null } },
  ]);
  hal.leave();
});
