import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Frame } from '../../src/web/sockets/frames.ts';
import { RoomCounts } from '../../src/web/sockets/room-counts.ts';
import type { RoomItem } from '../../src/web/sockets/room-news.ts';
import type { RoomViewer } from '../../src/web/sockets/types.ts';

/** Somebody who watches a room and takes what they are told, as a stream of events does. */
function watcher(version: number | null = 1) {
  const frames: Frame[] = [];
  const socket = { conn: null, take: (frame: Frame) => void frames.push(frame) };
  const viewer = {
    roomId: 'big',
    socket: socket as object as RoomViewer['socket'],
    viewerId: null,
    there: false,
    watching: true,
    shown: new Map(),
    counted: 1,
    version,
    held: [],
    reading: null,
  } satisfies RoomViewer as RoomViewer;
  const told = () => frames.map((frame) => JSON.parse(/data: (.*)/.exec(frame.linesAt('1'))?.[1] ?? ''));
  return { viewer, frames, told };
}

function count(version: number, all: number): RoomItem {
  const counts = { all, open: all, everyone: all };
  return { kind: 'room', id: `${version}-0`, roomId: 'big', version, what: 'count', counts, member: null, was: null };
}

function roomCounts(gone: readonly RoomViewer[] = []) {
  const ask = { counts: () => Promise.reject(new Error('Nobody has to be asked')) };
  return new RoomCounts(ask, 100, (viewer) => !gone.includes(viewer));
}

test('of a room that thousands watch all are told how many are there, by one and the same frame, some in each turn of the event loop', async () => {
  const watchers = Array.from({ length: 1000 }, () => watcher());
  roomCounts().tell(
    count(5, 700),
    watchers.map(({ viewer }) => viewer),
  );
  const toldNow = watchers.filter(({ frames }) => frames.length > 0).length;
  expect(toldNow).toBeGreaterThan(0);
  expect(toldNow).toBeLessThan(500);
  for (let n = 0; n < 10; n++) await turn();
  expect(watchers.map(({ told }) => told())).toEqual(watchers.map(() => [{ roomId: 'big', version: 5, count: 700 }]));
  expect(new Set(watchers.flatMap(({ frames }) => frames)).size).toBe(1);
});

test('a newer count takes the place of one that is on its way, and whoever has a newer picture, is about to get one or has gone is not told', async () => {
  const watchers = Array.from({ length: 1000 }, () => watcher());
  const [late, reading, gone] = watchers.slice(-3).map(({ viewer }) => viewer) as [RoomViewer, RoomViewer, RoomViewer];
  const viewers = watchers.map(({ viewer }) => viewer);
  const counts = roomCounts([gone]);
  counts.tell(count(5, 700), viewers);
  counts.tell(count(6, 701), viewers);
  late.version = 9;
  reading.version = null;
  for (let n = 0; n < 20; n++) await turn();
  const last = watchers.slice(0, -3).map(({ told }) => told().at(-1));
  expect(last).toEqual(last.map(() => ({ roomId: 'big', version: 6, count: 701 })));
  expect(watchers.every(({ told }) => told().length <= 2)).toBe(true);
  expect(watchers.at(300)?.told()).toHaveLength(1);
  expect(watchers.slice(-3).map(({ frames }) => frames)).toEqual([[], [], []]);
  expect(reading.held.map(({ item }) => item.version)).toEqual([6]);
});
