import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually, type WebProgram } from '../support/deployment.ts';

const TTL_MS = 3000;
const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
let rollcall: Deployment;
let goes: WebProgram;

beforeAll(async () => {
  rollcall = await Deployment.start('why', { env: BRISK });
  goes = await rollcall.addWeb({ HANDOVER_SECONDS: '2' });
});
afterAll(() => rollcall?.stop());

async function look(userId: string, include = '', viewer = userId) {
  const query = include === '' ? '' : `?include=${include}`;
  const answer = await rest(rollcall.url, 'GET', `/users/${userId}/status${query}`, { token: await tokenFor(viewer) });
  return answer.body;
}
const why = async (userId: string) => (await look(userId, 'why')).why;
const staying = (userId: string, auth: Record<string, unknown> = {}) =>
  TestClient.connect(rollcall.url, userId, { heartbeat: 'pong', ...auth });
const settled = (userId: string, rule: string, withinMs = 10_000) =>
  eventually(
    () => why(userId),
    (told) => told.rule === rule && told.nextChangeAt === null,
    withinMs,
  );

describe.concurrent('what is told of a user', () => {
  test('is the id, the status and the last seen, and nothing more unless asked for', async () => {
    const ada = await staying('ada', { device: { kind: 'web', name: 'secret' } });
    expect(await look('ada', '', 'bob')).toEqual({ userId: 'ada', status: 'active', lastSeen: ISO });
    expect(await look('ada', 'detail,devices', 'bob')).toEqual({
      userId: 'ada',
      status: 'active',
      lastSeen: ISO,
      devices: [{ kind: 'web', state: 'active' }],
      detail: {},
    });
    expect(await look('ada', 'why', 'bob')).toMatchObject({ statusCode: 403, code: 'FORBIDDEN' });
    expect(await look('nobody', '', 'bob')).toEqual({
      statusCode: 404,
      code: 'USER_NOT_FOUND',
      error: 'Not Found',
      message: expect.any(String),
    });
    ada.leave();
  });

  test('comes for many in the order asked, the unknown and the repeated included', async () => {
    const eve = await staying('q-eve');
    const { body, status } = await rest(rollcall.url, 'POST', '/users/status/query', {
      token: await tokenFor('bob'),
      body: { userIds: ['q-none', 'q-eve', 'q-none-either', 'q-eve'] },
    });
    expect(status).toBe(200);
    const here = { userId: 'q-eve', status: 'active', lastSeen: ISO };
    const none = { status: 'inactive', lastSeen: null };
    expect(body).toEqual({
      users: [{ userId: 'q-none', ...none }, here, { userId: 'q-none-either', ...none }, here],
    });
    eve.leave();
  });

  test('a user becomes known with the name and picture of the token, at the first visit', async () => {
    const picture = 'https://example.com/n.png';
    const token = await tokenFor('named', { name: 'Nora Ø.', picture });
    const nora = await TestClient.connect(rollcall.url, 'named', { token });
    const row = await eventually(
      () => rollcall.db('users').where({ id: 'named' }).first(),
      (found) => found !== undefined,
    );
    expect(row).toMatchObject({ display_name: 'Nora Ø.', avatar_url: picture });
    nora.leave();
  });
});

describe.concurrent('why a status is what it is', () => {
  test('heartbeat: the freshest session, and when it would end', async () => {
    const ada = await staying('w-ada');
    const told = await why('w-ada');
    expect(told).toEqual({ rule: 'heartbeat', sessionId: ada.sessionId, since: ISO, nextChangeAt: ISO, source: null });
    const { lastSeen } = await look('w-ada');
    expect(Math.abs(Date.parse(told.nextChangeAt) - Date.parse(lastSeen) - TTL_MS)).toBeLessThan(1500);
    const second = await staying('w-ada');
    const later = await eventually(
      () => why('w-ada'),
      ({ sessionId }) => sessionId === second.sessionId,
    );
    expect(later).toMatchObject({ rule: 'heartbeat', since: told.since });
    for (const client of [ada, second]) client.leave();
  });

  test('manual: no session, until further notice or until it ends', async () => {
    const bob = await staying('w-bob');
    await bob.socket.emitWithAck('set_status', { status: 'inactive' });
    expect(await why('w-bob')).toEqual({
      rule: 'manual',
      sessionId: null,
      since: ISO,
      nextChangeAt: null,
      source: null,
    });
    await bob.socket.emitWithAck('set_status', { status: 'inactive', expiresInSeconds: 60 });
    const told = await why('w-bob');
    expect(told).toEqual({ rule: 'manual', sessionId: null, since: ISO, nextChangeAt: ISO, source: null });
    expect(Math.abs(Date.parse(told.nextChangeAt) - Date.now() - 60_000)).toBeLessThan(3000);
    bob.leave();
  });

  test('timeout, disconnect and logout: the session that ended it, and nothing to come', async () => {
    const silent = await TestClient.connect(rollcall.url, 'w-silent');
    const closes = await staying('w-closes');
    const leaves = await staying('w-leaves');
    closes.leave();
    const ended = { since: ISO, nextChangeAt: null, source: null };
    expect(await settled('w-closes', 'disconnect')).toEqual({
      rule: 'disconnect',
      sessionId: closes.sessionId,
      ...ended,
    });
    await leaves.socket.emitWithAck('logout', undefined);
    expect(await why('w-leaves')).toEqual({ rule: 'logout', sessionId: leaves.sessionId, ...ended });
    expect(await settled('w-silent', 'timeout', TTL_MS + 2500)).toEqual({
      rule: 'timeout',
      sessionId: silent.sessionId,
      ...ended,
    });
    silent.leave();
  });

  test('handover: the session that waits to be taken up again, and its end', async () => {
    const moved = await TestClient.connect(goes.url, 'w-moved');
    goes.kill('SIGTERM');
    await moved.isClosed();
    const told = await why('w-moved');
    expect(told).toEqual({
      rule: 'handover',
      sessionId: moved.sessionId,
      since: ISO,
      nextChangeAt: expect.anything(),
      source: null,
    });
    expect((await settled('w-moved', 'handover')).sessionId).toBe(moved.sessionId);
    expect(await goes.exited).toEqual({ code: 0, signal: null });
  });
});
