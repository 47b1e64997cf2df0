import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChangesAnswer, FeedRoomChange } from '../../src/protocol/changes.ts';
import { rest, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { WEBHOOK_SECRET, WebhookReceiver } from '../support/webhook-receiver.ts';
import { ask, enter } from './world.ts';

let rollcall: Deployment;
let all: WebhookReceiver;
let ofSome: WebhookReceiver;
let cursor: string;

beforeAll(async () => {
  [all, ofSome] = [await WebhookReceiver.start(), await WebhookReceiver.start()];
  const WEBHOOKS = JSON.stringify([
    { name: 'calls', url: ofSome.url, secret: WEBHOOK_SECRET, types: ['rooms'], rooms: ['call:'] },
  ]);
  const env = { ...all.env, WEBHOOKS, ROOMS_TOLD: 'doc:,call:*', AUDIENCE: 'watchers' };
  rollcall = await Deployment.start('rooms told', { webs: 2, env });
  cursor = (await read(null)).nextCursor;
});
afterAll(async () => {
  expect(rollcall?.faults ?? []).toEqual([]);
  await rollcall?.stop();
  for (const receiver of [all, ofSome]) await receiver?.close();
});

async function read(after: string | null): Promise<ChangesAnswer> {
  const token = await tokenFor('host', { scope: 'presence:read' });
  const { body } = await rest(rollcall.url, 'GET', `/changes${after === null ? '' : `?after=${after}`}`, { token });
  return body;
}

/** What the feed has said of a room since the beginning. */
async function toldOf(roomId: string): Promise<FeedRoomChange[]> {
  const { changes } = await read(cursor);
  return changes.flatMap((change) => ('type' in change && change.roomId === roomId ? [change] : []));
}

const typesOf = (told: readonly FeedRoomChange[]) => told.map(({ type }) => type).join();
const hears = (roomId: string, types: string) =>
  eventually(
    () => toldOf(roomId),
    (told) => typesOf(told) === types,
    15_000,
  );

test('a backend is told once that a room is occupied, and that it is vacated once it was empty for three seconds', async () => {
  const before = Date.now();
  const [ada, bob] = [await enter(rollcall, 0, 'ada'), await enter(rollcall, 1, 'bob')];
  for (const roomId of ['doc:1', 'call:1', 'page:1']) for (const each of [ada, bob]) await each.join(roomId);
  const [occupied] = await hears('doc:1', 'room_occupied');
  expect(occupied).toEqual({ type: 'room_occupied', roomId: 'doc:1', at: expect.stringMatching(/\.\d{3}Z$/) });
  expect(Date.parse(occupied?.at ?? '')).toBeGreaterThan(before - 1000);
  // Whose last user is back within three seconds was not left.
  const back = await enter(rollcall, 1, 'ada');
  for (const each of [ada, bob]) each.client.leave();
  await back.sees('doc:1', []);
  await eventually(
    async () => (await ask(rollcall, 'GET', '/rooms/doc:1')).body.count,
    (count) => count === 0,
  );
  await back.join('doc:1');
  await hears('call:1', 'room_occupied,room_vacated');
  const leftAt = Date.now();
  back.client.leave();
  const [, vacated] = await hears('doc:1', 'room_occupied,room_vacated');
  expect(Date.parse(vacated?.at ?? '') - leftAt).toBeGreaterThan(2500);
  expect(await toldOf('page:1')).toEqual([]);
  await eventually(
    () => [all.rooms.length, ofSome.rooms.length],
    ([ofAll = 0, ofCalls = 0]) => ofAll >= 4 && ofCalls >= 2,
    15_000,
  );
  expect(all.rooms.map(({ roomId }) => roomId).sort()).toEqual(['call:1', 'call:1', 'doc:1', 'doc:1']);
  expect(ofSome.rooms).toEqual(await toldOf('call:1'));
  expect(ofSome.changes).toEqual([]);
});

test('who appears inactive occupies no room', async () => {
  const ada = await enter(rollcall, 0, 'ada');
  const set = (status: 'active' | 'inactive') => ada.client.socket.emitWithAck('set_status', { status });
  await set('inactive');
  await ada.join('doc:2');
  const bob = await enter(rollcall, 1, 'bob');
  await bob.join('doc:3');
  await hears('doc:3', 'room_occupied');
  expect(await toldOf('doc:2')).toEqual([]);
  await set('active');
  await hears('doc:2', 'room_occupied');
  await set('inactive');
  await hears('doc:2', 'room_occupied,room_vacated');
  await set('active');
  await hears('doc:2', 'room_occupied,room_vacated,room_occupied');
  for (const each of [ada, bob]) each.client.leave();
});
