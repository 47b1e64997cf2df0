import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Heard, isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually } from '../support/deployment.ts';

let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('detail', { webs: 2, env: { ...BRISK, HANDOVER_SECONDS: '0.5' } });
});
afterAll(() => rollcall?.stop());

/** On the other web than those who are watched. */
const watching = (userId: string, auth: Record<string, unknown> = {}) =>
  TestClient.connect(rollcall.web(1).url, `watcher-of-${userId}`, { watch: [userId], heartbeat: 'pong', ...auth });
const staying = (userId: string) => TestClient.connect(rollcall.web(0).url, userId, { heartbeat: 'pong' });
const say = (client: TestClient, detail: object) => client.socket.emitWithAck('set_detail', detail as never);
/** The user as PostgreSQL has them, and what each source says of them. */
async function row(userId: string) {
  const known = await rollcall.db('users').where({ id: userId }).first();
  return known && { ...known, said: await rollcall.db('detail_sources').where({ user_id: userId }) };
}
const says = (text: string | undefined) => (change: Heard) =>
  change.detail !== undefined && change.detail.text === text;

async function shown(userId: string) {
  const token = await tokenFor('somebody');
  const { body } = await rest(rollcall.url, 'GET', `/users/${userId}/status?include=detail`, { token });
  return body;
}

function inOrder(changes: Heard[]): void {
  const versions = changes.map((change) => change.version);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
}

describe.concurrent('a detail', () => {
  test('is told to watchers on another web, with a version of its own, and shown to whoever asks', async () => {
    const watcher = await watching('ada');
    const ada = await staying('ada');
    const came = await watcher.hears('ada', isActive);
    expect(came).not.toHaveProperty('detail');
    const detail = { availability: 'busy', text: 'in a meeting', emoji: '☕' };
    expect(await say(ada, detail)).toEqual({ ok: true, detail });
    const { heardAt, ...told } = await watcher.hears('ada', says('in a meeting'));
    expect(told).toEqual({ userId: 'ada', status: 'active', lastSeen: told.lastSeen, version: told.version, detail });
    expect(told.version).toBeGreaterThan(came.version);
    expect(await shown('ada')).toEqual({ userId: 'ada', status: 'active', lastSeen: expect.any(String), detail });
    const late = await watching('ada');
    expect(late.ready?.users).toEqual([expect.objectContaining({ userId: 'ada', version: told.version, detail })]);
    // All of it is replaced, and nothing leaves nothing.
    expect(await say(ada, { text: 'back', expiresInSeconds: 3600 })).toEqual({ ok: true, detail: { text: 'back' } });
    expect((await watcher.hears('ada', says('back'))).detail).toEqual({ text: 'back' });
    expect(await say(ada, {})).toEqual({ ok: true, detail: {} });
    expect((await watcher.hears('ada', says(undefined))).detail).toEqual({});
    expect(await shown('ada')).toMatchObject({ detail: {} });
    inOrder(watcher.of('ada'));
    // A change of status says nothing of it where it did not change, and PostgreSQL has the last version.
    ada.leave();
    const left = await watcher.hears('ada', isInactive);
    expect(left).not.toHaveProperty('detail');
    const recorded = await eventually(
      () => row('ada'),
      (found) => Number(found?.version) === left.version,
    );
    expect(recorded).toMatchObject({ said: [] });
    const history = await rollcall.db('status_transitions').where({ user_id: 'ada' }).orderBy('version');
    expect(history.map(({ status, cause }) => `${status}: ${cause}`)).toEqual([
      'active: connect',
      'inactive: disconnect',
    ]);
    for (const client of [watcher, late]) client.leave();
  });

  test('said twice is told once, and is no sign of life', async () => {
    const watcher = await watching('bea');
    const bea = await TestClient.connect(rollcall.web(0).url, 'bea');
    const came = await watcher.hears('bea', isActive);
    for (let n = 0; n < 3; n++) expect(await say(bea, { emoji: '🌴' })).toMatchObject({ ok: true });
    const told = await watcher.hears('bea', (change) => change.detail?.emoji === '🌴');
    expect(told.lastSeen).toBe(came.lastSeen);
    const gone = await watcher.hears('bea', isInactive, { withinMs: 6000 });
    expect(gone.lastSeen).toBe(came.lastSeen);
    expect(watcher.of('bea')).toHaveLength(3);
    // Away: it is still shown, and can be changed from a socket that fell silent.
    expect(await shown('bea')).toMatchObject({ status: 'inactive', lastSeen: came.lastSeen, detail: { emoji: '🌴' } });
    expect(await say(bea, { text: 'asleep' })).toMatchObject({ ok: true });
    expect(await watcher.hears('bea', says('asleep'))).toMatchObject({ status: 'inactive', lastSeen: came.lastSeen });
    for (const client of [watcher, bea]) client.leave();
  });

  test('ends by itself on time, while the user is here', async () => {
    const watcher = await watching('cal');
    const cal = await staying('cal');
    await watcher.hears('cal', isActive);
    const from = performance.now();
    await say(cal, { text: 'lunch', expiresInSeconds: 1.5 });
    const said = await watcher.hears('cal', says('lunch'));
    const over = await watcher.hears('cal', says(undefined), { withinMs: 4000 });
    expect(over).toMatchObject({ status: 'active', detail: {} });
    // It may have been heard late, but not have ended early; a millisecond is for rounding.
    expect(over.heardAt - from).toBeGreaterThan(1499);
    expect(over.heardAt - said.heardAt).toBeLessThan(1500 + 2000);
    expect(await shown('cal')).toMatchObject({ detail: {} });
    await eventually(
      () => row('cal'),
      (found) => found?.said.length === 0,
    );
    expect(watcher.statuses('cal')).toEqual(['active', 'active', 'active']);
    for (const client of [watcher, cal]) client.leave();
  });

  test('ends by itself on time while the user is away, and does not move the last seen', async () => {
    const watcher = await watching('dan');
    const dan = await staying('dan');
    await watcher.hears('dan', isActive);
    await say(dan, { text: 'on my way', availability: 'available', expiresInSeconds: 4 });
    const said = await watcher.hears('dan', says('on my way'));
    dan.leave();
    const left = await watcher.hears('dan', isInactive);
    expect(await shown('dan')).toMatchObject({ status: 'inactive', detail: { text: 'on my way' } });
    const over = await watcher.hears('dan', says(undefined), { withinMs: 6500 });
    expect(over).toMatchObject({ status: 'inactive', lastSeen: left.lastSeen, detail: {} });
    expect(over.heardAt - said.heardAt).toBeLessThan(4000 + 2000);
    const recorded = await eventually(
      () => row('dan'),
      (found) => Number(found?.version) === over.version,
    );
    expect(recorded).toMatchObject({ status: 'inactive' });
    await eventually(
      () => row('dan'),
      (found) => found?.said.length === 0,
    );
    expect(recorded.last_seen.toISOString()).toBe(left.lastSeen);
    watcher.leave();
  });

  test('is hidden while the user appears inactive, and told when that ends', async () => {
    const watcher = await watching('eli');
    const eli = await staying('eli');
    await watcher.hears('eli', isActive);
    await say(eli, { text: 'before' });
    await watcher.hears('eli', says('before'));
    await eli.socket.emitWithAck('set_status', { status: 'inactive' });
    const hidden = await watcher.hears('eli', isInactive);
    expect(hidden.detail).toEqual({});
    expect(await say(eli, { text: 'unseen' })).toEqual({ ok: true, detail: { text: 'unseen' } });
    expect(await shown('eli')).toMatchObject({ status: 'inactive', lastSeen: hidden.lastSeen, detail: {} });
    const late = await watching('eli');
    expect(late.ready?.users).toEqual([
      { userId: 'eli', status: 'inactive', lastSeen: hidden.lastSeen, version: hidden.version },
    ]);
    await eli.socket.emitWithAck('set_status', { status: 'active' });
    const back = await watcher.hears('eli', isActive, { after: 3 });
    expect(back.detail).toEqual({ text: 'unseen' });
    expect(watcher.of('eli')).toHaveLength(4);
    for (const client of [watcher, late, eli]) client.leave();
  });

  test('outlives all that Redis knew of the user, and nobody hears of a leaving', async () => {
    const watcher = await watching('flo');
    const flo = await staying('flo');
    await watcher.hears('flo', isActive);
    await say(flo, { text: 'kept', expiresInSeconds: 600 });
    const said = await watcher.hears('flo', says('kept'));
    await eventually(
      () => row('flo'),
      (found) => Number(found?.version) === said.version,
    );
    const keys = ['user:status:flo', 'user:last_seen:flo', 'user:sessions:flo'].map((name) => rollcall.key(name));
    await rollcall.redis.del(keys);
    expect(await shown('flo')).toMatchObject({ detail: { text: 'kept' } });
    expect(await say(flo, { text: 'new' })).toMatchObject({ ok: true });
    expect(await watcher.hears('flo', says('new'))).toMatchObject({ status: 'active' });
    await rollcall.redis.del(keys);
    expect(await flo.beat()).toMatchObject({ ok: true });
    await eventually(
      () => rollcall.redis.exists(rollcall.key('user:sessions:flo')),
      (found) => found === 1,
    );
    expect(await shown('flo')).toMatchObject({ status: 'active', detail: { text: 'new' } });
    expect(watcher.statuses('flo')).not.toContain('inactive');
    inOrder(watcher.of('flo'));
    for (const client of [watcher, flo]) client.leave();
  });

  test('that breaks a rule is refused, and so is one of a service', async () => {
    const gil = await staying('gil');
    const refused = async (detail: object) => (await say(gil, detail)) as { ok: false; error: { code: string } };
    const bad = [
      { text: 'x'.repeat(101) },
      { emoji: '🌴'.repeat(17) },
      { text: 'a\u0000b' },
      { text: 'two\nlines' },
      { availability: 'asleep' },
      { expiresInSeconds: 0 },
      { text: 7 },
    ];
    for (const detail of bad)
      expect((await refused(detail)).error.code, JSON.stringify(detail)).toBe('INVALID_REQUEST');
    expect((await row('gil'))?.said ?? []).toEqual([]);
    const most = { text: '🌴'.repeat(100), emoji: '🌴'.repeat(16) };
    expect(await say(gil, most)).toEqual({ ok: true, detail: most });
    const token = await tokenFor('robot', { scope: 'presence:write' });
    const robot = await TestClient.connect(rollcall.web(0).url, 'robot', { token });
    expect(await say(robot, { text: 'beep' })).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
    for (const client of [gil, robot]) client.leave();
  });
});

test('reaches clients that asked for batches although a newer change in the same frame does not speak of it', async () => {
  const watcher = await watching('bob', { batch: true });
  const bob = await staying('bob');
  const came = await watcher.hears('bob', isActive);
  const worker = rollcall.worker(0);
  worker.kill('SIGSTOP');
  await say(bob, { text: 'quick' });
  bob.leave();
  // With its answer the leaving is on its way.
  await eventually(
    () => shown('bob'),
    ({ status, lastSeen }) => status === 'inactive' && lastSeen !== came.lastSeen,
  );
  worker.kill('SIGCONT');
  expect(await watcher.hears('bob', isInactive)).toMatchObject({ detail: { text: 'quick' } });
  expect(watcher.statuses('bob')).toEqual(['active', 'inactive']);
  watcher.leave();
});

test('that ended while its user appeared inactive is taken from services, who saw it all along, when that is over', async () => {
  const token = await tokenFor('host', { scope: 'presence:read' });
  const observer = await TestClient.connect(rollcall.web(1).url, 'host', { token, watch: ['jan'] });
  const jan = await staying('jan');
  await say(jan, { text: 'at lunch' });
  await observer.hears('jan', says('at lunch'));
  await jan.socket.emitWithAck('set_status', { status: 'inactive' });
  expect(await observer.hears('jan', isInactive)).toMatchObject({ detail: { text: 'at lunch' } });
  await say(jan, {});
  const after = observer.of('jan').length;
  await jan.socket.emitWithAck('set_status', { status: 'active' });
  expect(await observer.hears('jan', isActive, { after })).toMatchObject({ detail: {} });
  for (const client of [observer, jan]) client.leave();
});

test('that came and went while its user appeared inactive is known to services, and nobody else hears that there was one', async () => {
  const token = await tokenFor('host', { scope: 'presence:read' });
  const observer = await TestClient.connect(rollcall.web(1).url, 'host', { token, watch: ['tea'] });
  const watcher = await watching('tea');
  const tea = await staying('tea');
  await watcher.hears('tea', isActive);
  await tea.socket.emitWithAck('set_status', { status: 'inactive' });
  await watcher.hears('tea', isInactive);
  await say(tea, { text: 'a secret' });
  await say(tea, {});
  const after = watcher.of('tea').length;
  await tea.socket.emitWithAck('set_status', { status: 'active' });
  expect(await watcher.hears('tea', isActive, { after })).not.toHaveProperty('detail');
  expect(await observer.hears('tea', isActive, { after: 2 })).toMatchObject({ detail: {} });
  for (const client of [observer, watcher, tea]) client.leave();
});

test('comes with its user for an audience of everyone, who have no picture of those who were away', async () => {
  const watcher = await watching('ivy');
  const ivy = await staying('ivy');
  await say(ivy, { text: 'on a train' });
  await watcher.hears('ivy', says('on a train'));
  ivy.leave();
  await watcher.hears('ivy', isInactive);
  const everyone = await TestClient.connect(rollcall.web(1).url, 'everyone', { heartbeat: 'pong' });
  expect(everyone.ready?.users?.map(({ userId }) => userId)).not.toContain('ivy');
  const again = await staying('ivy');
  expect(await everyone.hears('ivy', isActive)).toMatchObject({ detail: { text: 'on a train' } });
  for (const client of [watcher, everyone, again]) client.leave();
});

test('is taken from those who were told of it when its user hides, also where Redis has just lost them', async () => {
  const watcher = await watching('kim');
  const kim = await staying('kim');
  await say(kim, { text: 'at the dentist' });
  const told = await watcher.hears('kim', says('at the dentist'));
  await eventually(
    () => row('kim'),
    (found) => Number(found?.version) === told.version,
  );
  const keys = ['user:status:kim', 'user:last_seen:kim', 'user:sessions:kim'];
  await rollcall.redis.del(keys.map((name) => rollcall.key(name)));
  expect(
    await rest(rollcall.url, 'POST', '/users/status', { token: await tokenFor('kim'), body: { status: 'inactive' } }),
  ).toMatchObject({ status: 200 });
  expect(await watcher.hears('kim', isInactive)).toMatchObject({ detail: {} });
  for (const client of [watcher, kim]) client.leave();
});

test('is taken from watchers when its user hides, also where the user is away and Redis knows nothing of them any more', async () => {
  const watcher = await watching('ned');
  const ned = await staying('ned');
  await say(ned, { text: 'on holiday' });
  await watcher.hears('ned', says('on holiday'));
  ned.leave();
  const left = await watcher.hears('ned', isInactive);
  const forget = async (version: number) => {
    await eventually(
      () => row('ned'),
      (found) => Number(found?.version) === version,
    );
    const keys = ['user:status:ned', 'user:last_seen:ned', 'user:sessions:ned'];
    await rollcall.redis.del(keys.map((name) => rollcall.key(name)));
  };
  const hide = async () => {
    const body = { status: 'inactive' };
    return (await rest(rollcall.url, 'POST', '/users/status', { token: await tokenFor('ned'), body })).status;
  };
  await forget(left.version);
  expect(await hide()).toBe(200);
  const hid = await watcher.hears('ned', says(undefined));
  expect(hid).toMatchObject({ status: 'inactive', lastSeen: left.lastSeen, detail: {} });
  // Who hides anew says nothing with that, for they were hidden.
  await forget(hid.version);
  expect(await hide()).toBe(200);
  expect(await watcher.socket.emitWithAck('watch', { userIds: ['ned'] })).toMatchObject({
    users: [{ version: hid.version }],
  });
  expect(watcher.of('ned').at(-1)).toMatchObject({ version: hid.version });
  watcher.leave();
});

test('is told with who is here, and nobody is told that they left, where Redis lost a coming that PostgreSQL had not heard of', async () => {
  const watcher = await watching('lea');
  const lea = await staying('lea');
  const came = await watcher.hears('lea', isActive);
  await eventually(
    () => row('lea'),
    (found) => Number(found?.version) === came.version,
  );
  await rollcall.db('users').where({ id: 'lea' }).update({ status: 'inactive' });
  // Without its epoch the store counts as another one.
  const keys = ['user:status:lea', 'user:last_seen:lea', 'user:sessions:lea', 'presence:epoch'];
  await rollcall.redis.del(keys.map((name) => rollcall.key(name)));
  const token = await tokenFor('calendar', { scope: 'presence:write' });
  const put = await rest(rollcall.url, 'PUT', '/users/lea/detail/calendar', { token, body: { text: 'at lunch' } });
  expect(put).toMatchObject({ status: 200 });
  await watcher.hears('lea', says('at lunch'), { withinMs: 10_000 });
  expect(watcher.statuses('lea')).not.toContain('inactive');
  // Of who is away it is told all the same, a little later.
  const away = await rest(rollcall.url, 'PUT', '/users/max/detail/calendar', { token, body: { text: 'on leave' } });
  expect(away).toMatchObject({ status: 200 });
  await watcher.socket.emitWithAck('watch', { userIds: ['max'] });
  await rest(rollcall.url, 'PUT', '/users/max/detail/calendar', { token, body: { text: 'on long leave' } });
  await watcher.hears('max', says('on long leave'), { withinMs: 10_000 });
  for (const client of [watcher, lea]) client.leave();
});

test('ends in the eyes of watchers also where Redis has lost it, and its user with it', async () => {
  const watcher = await watching('hal');
  const hal = await staying('hal');
  await watcher.hears('hal', isActive);
  await say(hal, { text: 'gone fishing', expiresInSeconds: 6 });
  await watcher.hears('hal', says('gone fishing'));
  hal.leave();
  const left = await watcher.hears('hal', isInactive);
  await eventually(
    () => row('hal'),
    (found) => Number(found?.version) === left.version,
  );
  // Without its epoch the store counts as another one.
  const keys = ['user:status:hal', 'user:last_seen:hal', 'user:sessions:hal', 'presence:epoch'];
  await rollcall.redis.del(keys.map((name) => rollcall.key(name)));
  const over = await watcher.hears('hal', (change) => change.version > left.version, { withinMs: 40_000 });
  expect(over).toMatchObject({ status: 'inactive', lastSeen: left.lastSeen, detail: {} });
  await eventually(
    () => row('hal'),
    (found) => Number(found?.version) === over.version && found?.said.length === 0,
  );
  watcher.leave();
}, 60_000);
