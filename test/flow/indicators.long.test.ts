import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { IndicatorChange } from '../../src/protocol/socket.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';

let rollcall: Deployment;
/** Every test has a conversation of its own: what ends late in one is no news in the next. */
let room = '';
let rooms = 0;

/** A member with all indicator changes it was told. */
interface Member {
  client: TestClient;
  told: IndicatorChange[];
}

beforeAll(async () => {
  rollcall = await Deployment.start('indicators', { webs: 2 });
});
beforeEach(async () => {
  rooms++;
  room = `team:${rooms}`;
  for (const userId of ['ada', 'bob', 'cyd', 'late', 'shy']) await admit(userId);
});
afterAll(() => rollcall?.stop());

async function admit(userId: string, method = 'PUT'): Promise<number> {
  const token = await tokenFor('host', { scope: 'presence:write' });
  return (await rest(rollcall.url, method, `/conversations/${room}/members/${userId}`, { token })).status;
}

async function enter(web: number, userId: string): Promise<Member> {
  const client = await TestClient.connect(rollcall.web(web).url, userId);
  const told: IndicatorChange[] = [];
  client.socket.on('indicator_change', (change) => told.push(change));
  expect(await client.socket.emitWithAck('join_conversation', { conversationId: room })).toEqual({ ok: true });
  return { client, told };
}

const start = ({ client }: Member, kind: 'typing' | 'recording_audio' = 'typing') =>
  client.socket.emitWithAck('start_indicator', { conversationId: room, kind });
const stop = ({ client }: Member, kind: 'typing' | 'recording_audio' = 'typing') =>
  client.socket.emitWithAck('stop_indicator', { conversationId: room, kind });
const of = ({ told }: Member, userId: string) => told.filter((change) => change.userId === userId);
const shown = (member: Member, userId: string) => of(member, userId).map((change) => change.active);
const isTold = (member: Member, userId: string, times: number, withinMs = 5000) =>
  eventually(
    () => of(member, userId).length,
    (count) => count >= times,
    withinMs,
  );

test('who begins to type right behind asking to join is in by then', async () => {
  const bob = await enter(1, 'bob');
  const client = await TestClient.connect(rollcall.web(0).url, 'ada');
  const joined = client.socket.emitWithAck('join_conversation', { conversationId: room });
  const started = client.socket.emitWithAck('start_indicator', { conversationId: room, kind: 'typing' });
  expect(await Promise.all([joined, started])).toEqual([{ ok: true }, { ok: true }]);
  await isTold(bob, 'ada', 1);
  for (const each of [client, bob.client]) each.leave();
});

test('others in the conversation are told once when somebody begins to type and once when they stop, on every web', async () => {
  const members = [await enter(0, 'bob'), await enter(1, 'cyd')];
  const ada = await enter(0, 'ada');
  const also = await enter(1, 'ada');
  for (let n = 0; n < 3; n++) expect(await start(ada)).toEqual({ ok: true });
  for (const member of members) await isTold(member, 'ada', 1);
  expect(of(members[0] as Member, 'ada')).toEqual([
    { conversationId: room, userId: 'ada', kind: 'typing', active: true },
  ]);
  // Typing on a second device is nothing new, and it goes on when the first one stops.
  expect(await start(also)).toEqual({ ok: true });
  expect(await stop(ada)).toEqual({ ok: true });
  expect(await start(ada, 'recording_audio')).toEqual({ ok: true });
  for (const member of members) await isTold(member, 'ada', 2);
  expect(await stop(also)).toEqual({ ok: true });
  for (const member of members) {
    await isTold(member, 'ada', 3);
    expect(of(member, 'ada').map(({ kind, active }) => [kind, active])).toEqual([
      ['typing', true],
      ['recording_audio', true],
      ['typing', false],
    ]);
  }
  // Never to oneself, on any device.
  expect([...ada.told, ...also.told]).toEqual([]);
  for (const { client } of [...members, ada, also]) client.leave();
});

test('an indicator ends by itself after six seconds of silence, by leaving, and by a disconnect', async () => {
  const bob = await enter(0, 'bob');
  const ada = await enter(1, 'ada');
  // The six seconds begin with the typing, however late it is told.
  const from = performance.now();
  await start(ada);
  await isTold(bob, 'ada', 1);
  await isTold(bob, 'ada', 2, 8000);
  expect(performance.now() - from).toBeGreaterThan(5500);
  expect(shown(bob, 'ada')).toEqual([true, false]);

  await start(ada);
  await isTold(bob, 'ada', 3);
  expect(await ada.client.socket.emitWithAck('leave_conversation', { conversationId: room })).toEqual({ ok: true });
  await isTold(bob, 'ada', 4);
  expect(await start(ada)).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });

  await ada.client.socket.emitWithAck('join_conversation', { conversationId: room });
  await start(ada);
  await isTold(bob, 'ada', 5);
  ada.client.leave();
  await isTold(bob, 'ada', 6);
  expect(shown(bob, 'ada')).toEqual([true, false, true, false, true, false]);
  bob.client.leave();
}, 40_000);

test('whoever joins sees who is typing now', async () => {
  const ada = await enter(0, 'ada');
  await start(ada);
  // Also in the very moment in which the start is being told.
  const late = await enter(1, 'late');
  await isTold(late, 'ada', 1);
  await stop(ada);
  await isTold(late, 'ada', 2);
  expect(shown(late, 'ada')).toEqual([true, false]);
  await start(ada);
  await isTold(late, 'ada', 3);
  for (const { client } of [ada, late]) client.leave();
});

test('only members may join, and who is taken out is told nothing more and shown no more', async () => {
  const stranger = await TestClient.connect(rollcall.url, 'stranger');
  const refused = await stranger.socket.emitWithAck('join_conversation', { conversationId: room });
  expect(refused).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
  const typing = await stranger.socket.emitWithAck('start_indicator', { conversationId: room, kind: 'typing' });
  expect(typing).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });

  const ada = await enter(0, 'ada');
  const cyd = await enter(1, 'cyd');
  const bob = await enter(0, 'bob');
  await start(cyd);
  await isTold(ada, 'cyd', 1);
  expect(await admit('cyd', 'DELETE')).toBe(204);
  await isTold(ada, 'cyd', 2);
  expect(shown(ada, 'cyd')).toEqual([true, false]);
  await start(ada);
  await isTold(bob, 'ada', 1);
  expect(of(cyd, 'ada')).toEqual([]);
  expect(await start(cyd)).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
  const again = await cyd.client.socket.emitWithAck('join_conversation', { conversationId: room });
  expect(again).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
  expect(await admit('cyd')).toBe(204);
  expect(await cyd.client.socket.emitWithAck('join_conversation', { conversationId: room })).toEqual({ ok: true });
  for (const client of [stranger, ada.client, bob.client, cyd.client]) client.leave();
});

test('who appears inactive is not seen typing', async () => {
  const bob = await enter(0, 'bob');
  const shy = await enter(1, 'shy');
  const ada = await enter(1, 'ada');
  expect(await shy.client.socket.emitWithAck('set_status', { status: 'inactive' })).toMatchObject({ ok: true });
  expect(await start(shy)).toEqual({ ok: true });
  await start(ada);
  await isTold(bob, 'ada', 1);
  expect(of(bob, 'shy')).toEqual([]);
  for (const { client } of [bob, shy, ada]) client.leave();
});

test('whoever appears inactive while typing stops typing for others at once, and nothing of it is in PostgreSQL', async () => {
  const [bob, ada] = [await enter(1, 'bob'), await enter(0, 'ada')];
  await start(ada);
  await isTold(bob, 'ada', 1);
  const hidAt = performance.now();
  expect(await ada.client.socket.emitWithAck('set_status', { status: 'inactive' })).toMatchObject({ ok: true });
  await isTold(bob, 'ada', 2);
  expect(shown(bob, 'ada')).toEqual([true, false]);
  // Long before it would have ended by itself.
  expect(performance.now() - hidAt).toBeLessThan(5000);
  const tables = await rollcall.db.raw<{ rows: { name: string }[] }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`,
  );
  for (const { name } of tables.rows) {
    const { rows } = await rollcall.db.raw(`SELECT 1 FROM ?? AS t WHERE t::text ~ 'typing|recording_audio'`, [name]);
    expect(rows, name).toEqual([]);
  }
  expect(await ada.client.socket.emitWithAck('set_status', { status: 'active' })).toMatchObject({ ok: true });
  for (const { client } of [bob, ada]) client.leave();
});

test('only a service that may write says who belongs to a conversation', async () => {
  const path = `/conversations/${room}/members/eve`;
  for (const [claims, status] of [
    [{}, 403],
    [{ scope: 'presence:read' }, 403],
    [{ scope: 'presence:write' }, 204],
  ] as const) {
    expect((await rest(rollcall.url, 'PUT', path, { token: await tokenFor('eve', claims) })).status).toBe(status);
  }
  expect((await rest(rollcall.url, 'PUT', path)).body).toMatchObject({ code: 'UNAUTHENTICATED' });
  const token = await tokenFor('host', { scope: 'presence:write' });
  const bad = await rest(rollcall.url, 'PUT', `/conversations/${room}/members/${encodeURIComponent('no spaces')}`, {
    token,
  });
  expect(bad).toMatchObject({ status: 400, body: { code: 'INVALID_USER_ID' } });
});
