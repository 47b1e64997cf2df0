import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Heard, isActive, rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually } from '../support/deployment.ts';
import { webBehindLink } from '../support/resync.ts';

let rollcall: Deployment;
let backend: string;

beforeAll(async () => {
  rollcall = await Deployment.start('sources', {
    webs: 2,
    env: { ...BRISK, DETAIL_ORDER: 'fire,call,manual,calendar' },
  });
  backend = await tokenFor('backend', { scope: 'presence:write' });
});
afterAll(() => rollcall?.stop());

type Verb = 'GET' | 'PUT' | 'DELETE' | 'POST';
const ask = (method: Verb, path: string, body?: object, token = backend, url = rollcall.web(0).url) =>
  rest(url, method, path, { token, ...(body && { body }) });
const put = (userId: string, source: string, body: object) => ask('PUT', `/users/${userId}/detail/${source}`, body);
const end = (userId: string, source: string) => ask('DELETE', `/users/${userId}/detail/${source}`);
const list = async (userId: string) => (await ask('GET', `/users/${userId}/detail`)).body.sources;
const watching = (userId: string, auth = {}) =>
  TestClient.connect(rollcall.web(1).url, `watcher-of-${userId}`, { watch: [userId], heartbeat: 'pong', ...auth });
const staying = (userId: string) => TestClient.connect(rollcall.web(0).url, userId, { heartbeat: 'pong' });
const says = (text: string | undefined) => (change: Heard) =>
  change.detail !== undefined && change.detail.text === text;
const refused = ({ status, body }: Awaited<ReturnType<typeof ask>>) => [status, body.code];
const NOTHING = { availability: null, text: null, emoji: null, until: null };

describe.concurrent('what services say of a user', () => {
  test('is told where it is the strongest, whole, and gives way to what it displaced', async () => {
    const watcher = await watching('ada');
    const ada = await staying('ada');
    await watcher.hears('ada', isActive);
    expect((await ask('GET', '/users/ada/status?include=why')).body.why.source).toBeNull();
    const meeting = { availability: 'busy', text: 'meeting' };
    expect((await put('ada', 'calendar', meeting)).body).toEqual({
      source: 'calendar',
      ...NOTHING,
      ...meeting,
      shown: true,
    });
    expect((await watcher.hears('ada', says('meeting'))).detail).toEqual(meeting);
    await ada.socket.emitWithAck('set_detail', { emoji: '🌴' } as never);
    expect((await watcher.hears('ada', says(undefined))).detail).toEqual({ emoji: '🌴' });
    // The weaker is stored, and told to nobody.
    expect((await put('ada', 'calendar', { text: 'moved' })).body).toMatchObject({ text: 'moved', shown: false });
    expect((await put('ada', 'call', { availability: 'dnd', text: 'call' })).body.shown).toBe(true);
    await watcher.hears('ada', says('call'));
    expect(await list('ada')).toEqual([
      { ...NOTHING, source: 'call', availability: 'dnd', text: 'call', shown: true },
      { ...NOTHING, source: 'manual', emoji: '🌴', shown: false },
      { ...NOTHING, source: 'calendar', text: 'moved', shown: false },
    ]);
    const { body } = await ask('GET', '/users/ada/status?include=detail,why');
    expect(body).toMatchObject({ detail: { availability: 'dnd', text: 'call' }, why: { source: 'call' } });
    expect((await end('ada', 'call')).status).toBe(204);
    expect((await watcher.hears('ada', (change) => change.detail?.emoji === '🌴', { after: 4 })).detail).toEqual({
      emoji: '🌴',
    });
    expect((await ask('DELETE', '/users/ada/detail')).status).toBe(204);
    expect((await watcher.hears('ada', says('moved'))).detail).toEqual({ text: 'moved' });
    expect((await end('ada', 'call')).status).toBe(204);
    expect(watcher.of('ada')).toHaveLength(6);
    for (const client of [watcher, ada]) client.leave();
  });

  test('comes back by itself on time when what displaced it ends, also of somebody who never came', async () => {
    const watcher = await watching('bea');
    const from = performance.now();
    await put('bea', 'calendar', { text: 'week', until: new Date(Date.now() + 3_600_000).toISOString() });
    await put('bea', 'call', { text: 'call', expiresInSeconds: 6 });
    await put('bea', 'fire', { text: 'fire', expiresInSeconds: 3 });
    await watcher.hears('bea', says('fire'));
    const call = await watcher.hears('bea', says('call'), { after: watcher.of('bea').length, withinMs: 6000 });
    expect(call).toMatchObject({ status: 'inactive', lastSeen: null });
    expect(call.heardAt - from).toBeGreaterThan(2999);
    const week = await watcher.hears('bea', says('week'), { after: watcher.of('bea').length, withinMs: 6000 });
    expect(week.heardAt - from).toBeGreaterThan(5999);
    expect(week.heardAt - call.heardAt).toBeLessThan(3000 + 2000);
    expect((await list('bea')).map(({ source }: { source: string }) => source)).toEqual(['calendar']);
    watcher.leave();
  });

  test('is hidden from all but the user and services while the user appears inactive', async () => {
    const cal = await staying('cal');
    await put('cal', 'calendar', { text: 'secret' });
    await ask('POST', '/users/status', { userId: 'cal', status: 'inactive' });
    const [own, stranger] = await Promise.all(['cal', 'eve'].map((userId) => tokenFor(userId)));
    const path = '/users/cal/status?include=detail';
    expect((await ask('GET', path, undefined, stranger)).body.detail).toEqual({});
    expect((await ask('GET', path, undefined, own)).body).toMatchObject({
      status: 'inactive',
      detail: { text: 'secret' },
    });
    const { body } = await ask('GET', '/users/cal/status?include=detail,why');
    expect(body).toMatchObject({ detail: { text: 'secret' }, why: { rule: 'manual', source: 'calendar' } });
    expect(await list('cal')).toMatchObject([{ source: 'calendar', shown: true }]);
    cal.leave();
  });

  test('is told over sockets to the user and to services while the user appears inactive, also where all is told anew', async () => {
    const { web, link } = await webBehindLink(rollcall);
    const at = (userId: string, token?: string) =>
      TestClient.connect(web.url, userId, { watch: ['hid'], heartbeat: 'pong', ...(token && { token }) });
    const hid = await at('hid');
    await put('hid', 'calendar', { text: 'secret' });
    const [stranger, service] = [await at('stranger'), await at('backend', backend)];
    await ask('POST', '/users/status', { userId: 'hid', status: 'inactive' });
    const away = (change: Heard) => change.status === 'inactive';
    expect((await stranger.hears('hid', away)).detail).toEqual({});
    for (const insider of [hid, service]) {
      expect(await insider.hears('hid', away)).toMatchObject({ cause: 'manual', detail: { text: 'secret' } });
    }
    const known = [stranger, service, hid].map((client) => client.of('hid').length);
    // What the web misses meanwhile is not in the stream any more: it tells all anew.
    const delivery = rollcall.key('presence:{delivery}');
    link.cut();
    const come = await staying('missed');
    await eventually(
      async () => JSON.stringify(await rollcall.redis.xrevrange(delivery, '+', '-', 'COUNT', 5)),
      (entries) => entries.includes('missed'),
    );
    await rollcall.redis.xtrim(delivery, 'MAXLEN', 0);
    link.mend();
    come.leave();
    for (const [n, client] of [stranger, service, hid].entries()) {
      const anew = await client.hears('hid', away, { after: known[n] ?? 0, withinMs: 10_000 });
      expect(anew.detail).toEqual(client === stranger ? {} : { text: 'secret' });
    }
    for (const [userId, token, detail] of [
      ['other', undefined, undefined],
      ['hid', undefined, { text: 'secret' }],
      ['backend', backend, { text: 'secret' }],
    ] as const) {
      const late = await at(userId, token);
      expect(late.ready?.users).toMatchObject([{ userId: 'hid', status: 'inactive' }]);
      expect(late.ready?.users?.[0]?.detail).toEqual(detail);
      late.leave();
    }
    for (const client of [hid, stranger, service]) client.leave();
    await web.end();
    await link.close();
  });

  test('is kept where Redis loses the user, and the older of two that meet there is passed over', async () => {
    await put('dan', 'call', { text: 'first' });
    await put('dan', 'zoo', { text: 'weak' });
    await rollcall.redis.del(rollcall.key('user:sessions:dan'));
    const { body } = await ask('GET', '/users/dan/status?include=detail,why');
    expect(body).toMatchObject({ detail: { text: 'first' }, why: { source: 'call' } });
    const dan = await staying('dan');
    expect(dan.ready).toBeDefined();
    const watcher = await watching('dan');
    expect(watcher.ready?.users).toMatchObject([{ detail: { text: 'first' } }]);
    await Promise.all(['a', 'b', 'c', 'd'].map((text) => put('dan', 'call', { text })));
    const [{ text }] = await list('dan');
    await eventually(
      async () => (await ask('GET', '/users/dan/status?include=detail')).body.detail.text,
      (shown) => shown === text,
    );
    for (const client of [dan, watcher]) client.leave();
  });

  test('is refused where it breaks a rule, and where it is not theirs to say', async () => {
    const soon = new Date(Date.now() + 60_000).toISOString();
    const bad = [
      {},
      { text: '' },
      { until: soon },
      { text: 'x', until: soon, expiresInSeconds: 5 },
      { text: 'x', until: new Date(Date.now() - 1000).toISOString() },
      { text: 'x', until: new Date(Date.now() + 11 * 365 * 86_400_000).toISOString() },
      { text: 'x', until: 'tomorrow' },
      { text: 'x', expiresInSeconds: 0 },
      { text: 'x', availability: 'asleep' },
      { text: 'x', color: 'red' },
    ];
    for (const body of bad)
      expect(refused(await put('eli', 'call', body)), JSON.stringify(body)).toEqual([400, 'INVALID_REQUEST']);
    expect(refused(await put('eli', 'x'.repeat(33), { text: 'x' }))).toEqual([400, 'INVALID_REQUEST']);
    expect(refused(await put('eli', 'a%20b', { text: 'x' }))).toEqual([400, 'INVALID_REQUEST']);
    expect(refused(await put('e i', 'call', { text: 'x' }))).toEqual([400, 'INVALID_USER_ID']);
    const [own, stranger, reader] = await Promise.all([
      tokenFor('eli'),
      tokenFor('eve'),
      tokenFor('reader', { scope: 'presence:read' }),
    ]);
    const mine = (source: string, token: string) => ask('PUT', `/users/eli/detail${source}`, { text: 'x' }, token);
    expect(refused(await mine('/call', own))).toEqual([403, 'FORBIDDEN']);
    expect(refused(await mine('', stranger))).toEqual([403, 'FORBIDDEN']);
    expect(refused(await mine('/manual', reader))).toEqual([403, 'FORBIDDEN']);
    expect(refused(await ask('GET', '/users/eli/detail', undefined, stranger))).toEqual([403, 'FORBIDDEN']);
    expect(await list('eli')).toEqual([]);
    expect((await mine('/manual', own)).status).toBe(200);
    for (let n = 1; n < 16; n++) expect((await put('eli', `s${n}`, { text: 'x' })).status).toBe(200);
    expect(refused(await put('eli', 's16', { text: 'x' }))).toEqual([409, 'TOO_MANY_SOURCES']);
    expect((await put('eli', 's3', { text: 'y' })).status).toBe(200);
  });

  test('ends at the moment that is named, with or without milliseconds and offset', async () => {
    const at = Math.ceil(Date.now() / 1000) * 1000 + 3_600_000;
    const utc = new Date(at).toISOString();
    const east = new Date(at + 7_200_000).toISOString().replace('.000Z', '+02:00');
    for (const until of [utc, utc.replace('.000', ''), utc.replace('.000Z', ''), east]) {
      expect((await put('fay', 'calendar', { text: 'x', until })).body.until, until).toBe(utc);
    }
    expect((await ask('PUT', '/users/fay/detail', { emoji: '☕', expiresInSeconds: 60 })).body).toMatchObject({
      source: 'manual',
      until: expect.stringMatching(/Z$/),
    });
  });
});

describe.concurrent('whether to ring', () => {
  const reach = async (userIds: string[], more: object = {}, token = backend) => {
    const { status, body } = await ask('POST', '/reach', { userIds, ...more }, token);
    return status === 200 ? body.users : [status, body.code];
  };
  const of = async (userId: string, more: object = {}) => {
    const [{ decision, reason }] = await reach([userId], more);
    return `${decision}: ${reason}`;
  };

  test('goes by who sits at a device, who wants to be left alone, and whom nobody knows', async () => {
    const gil = await staying('gil');
    await put('hal', 'calendar', { availability: 'dnd' });
    await put('hal', 'call', { text: 'stronger' });
    const users = await reach(['gil', 'nobody', 'hal', 'gil']);
    expect(users).toMatchObject([
      { userId: 'gil', decision: 'in_app', reason: 'attended' },
      { userId: 'nobody', decision: 'push', reason: 'unknown', lastActive: null },
      { userId: 'hal', decision: 'hold', reason: 'dnd', lastActive: null },
      { userId: 'gil', decision: 'in_app', reason: 'attended' },
    ]);
    const { body } = await ask('GET', '/users/gil/status');
    expect(Date.parse(users[0].lastActive)).toBeLessThanOrEqual(Date.parse(body.lastSeen));
    expect(await of('hal', { urgent: true })).toBe('push: unattended');
    await put('gil', 'call', { availability: 'dnd' });
    expect(await of('gil')).toBe('hold: dnd');
    expect(await of('gil', { urgent: true })).toBe('in_app: attended');
    await end('gil', 'call');
    // Appearing inactive changes nothing of it, and the last seen is the one that services are told.
    await ask('POST', '/users/status', { userId: 'gil', status: 'inactive' });
    const [hidden] = await reach(['gil']);
    expect(hidden).toMatchObject({
      decision: 'in_app',
      lastActive: (await ask('GET', '/users/gil/status')).body.lastSeen,
    });
    await eventually(
      () => gil.beat('idle'),
      ({ ok }) => ok,
    );
    expect(await of('gil')).toBe('push: unattended');
    gil.leave();
  });

  test('leases, agents, bots and devices are nobody who sits there', async () => {
    for (const kind of ['agent', 'bot', 'device']) {
      const client = await TestClient.connect(rollcall.url, `is-${kind}`, { device: { kind }, heartbeat: 'pong' });
      expect(await of(`is-${kind}`), kind).toBe('push: unattended');
      const { body } = await ask('GET', `/users/is-${kind}/status?include=devices`);
      expect(body).toMatchObject({ status: 'active', devices: [{ kind, state: 'active' }] });
      client.leave();
    }
    await ask('PUT', '/users/leased/leases/job', { ttlSeconds: 60, kind: 'web' });
    expect(await of('leased')).toBe('push: unattended');
    // Who stays active by posting sits somewhere.
    await ask('POST', '/users/status', { userId: 'posted', status: 'active' });
    expect(await of('posted')).toBe('in_app: attended');
  });

  test('goes by how recently somebody was heard of', async () => {
    const ida = await TestClient.connect(rollcall.url, 'ida', { ttlSeconds: 60 });
    expect(await of('ida', { withinSeconds: 3 })).toBe('in_app: attended');
    await eventually(
      () => of('ida', { withinSeconds: 3 }),
      (said) => said === 'push: unattended',
    );
    expect(await of('ida', { withinSeconds: 60 })).toBe('in_app: attended');
    ida.leave();
    await eventually(
      () => of('ida'),
      (said) => said === 'push: unattended',
    );
  });

  test('is told of a thousand at once, and refused where it breaks a rule', async () => {
    const many = Array.from({ length: 1000 }, (_, n) => `many-${n}`);
    expect(await reach(many)).toHaveLength(1000);
    expect(await reach([...many, 'one'])).toEqual([400, 'INVALID_REQUEST']);
    for (const more of [
      { withinSeconds: 0 },
      { withinSeconds: 3601 },
      { withinSeconds: 1.5 },
      { urgent: 'yes' },
      { room: 'x' },
    ]) {
      expect(await reach(['ada'], more), JSON.stringify(more)).toEqual([400, 'INVALID_REQUEST']);
    }
    expect(await reach([])).toEqual([400, 'INVALID_REQUEST']);
    expect(await reach(['a b'])).toEqual([400, 'INVALID_USER_ID']);
    expect(await reach(['ada'], {}, await tokenFor('ada'))).toEqual([403, 'FORBIDDEN']);
  });

  test('is not guessed of somebody whom Redis has lost', async () => {
    const jon = await TestClient.connect(rollcall.url, 'jon', { ttlSeconds: 60 });
    await eventually(
      () => rollcall.db('users').where({ id: 'jon' }).first(),
      (row) => row?.status === 'active',
    );
    await rollcall.redis.del(
      ['user:sessions:jon', 'user:status:jon', 'user:last_seen:jon'].map((name) => rollcall.key(name)),
    );
    expect(await reach(['jon'])).toEqual([503, 'UNAVAILABLE']);
    await jon.beat();
    await eventually(
      () => reach(['jon']),
      ([user]) => user.decision === 'in_app',
    );
    jon.leave();
  });
});

describe('what Redis shows of sources is what PostgreSQL has', () => {
  test('in another order from the start of a worker on, and again after Redis came back with older', async () => {
    const [watcher, ada] = [await watching('ordered'), await staying('ordered')];
    await watcher.hears('ordered', isActive);
    await put('ordered', 'calendar', { text: 'meeting' });
    await watcher.hears('ordered', says('meeting'));
    const record = rollcall.key('user:sessions:ordered');
    const older = await rollcall.redis.hmget(record, 'u', 'ur', 'd');
    await put('ordered', 'call', { text: 'call' });
    await watcher.hears('ordered', says('call'));
    // As by a replica that had not heard of the call.
    await rollcall.redis.hset(record, 'u', older[0] ?? '', 'ur', older[1] ?? '', 'd', older[2] ?? '');
    await rollcall.worker(0).end();
    const worker = await rollcall.addWorker();
    const { body } = await eventually(
      () => ask('GET', '/users/ordered/status?include=detail'),
      ({ body }) => body.detail.text === 'call',
    );
    expect(body.detail).toEqual({ text: 'call' });
    const told = watcher.of('ordered').length;
    await worker.end();
    await rollcall.addWorker({ DETAIL_ORDER: 'calendar,call' });
    await watcher.hears('ordered', says('meeting'), { after: told });
    for (const client of [watcher, ada]) client.leave();
  });
});
