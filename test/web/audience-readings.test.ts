import { expect, test } from 'vitest';
import { shardOf } from '../../src/redis/keys.ts';
import { nothingSeen, type Snapshot } from '../../src/usecases/status-reads.ts';
import { Audience } from '../../src/web/sockets/audience.ts';
import type { AudienceDeps } from '../../src/web/sockets/audience-deps.ts';
import { Rooms } from '../../src/web/sockets/rooms.ts';
import type { Viewer } from '../../src/web/sockets/types.ts';

const userId = 'ada';
const shard = shardOf(userId);
const iso = (ms: number) => new Date(ms).toISOString();

/** What both stores say of ada as of an entry of her outbox. */
function truth(status: 'active' | 'inactive', lastSeen: number, version: number, position: string): Snapshot {
  const users = [{ userId, status, lastSeen: iso(lastSeen), version }];
  return { ...nothingSeen(), users, positions: new Map([[shard, position]]) };
}

/** An audience whose looks at the stores are answered when and in which order the test says, and what it told. */
function withSlowStores(clock = { now: 100_000 }) {
  const told: [string, number][] = [];
  const looks: ((snapshot: Snapshot) => void)[] = [];
  const rooms = Object.assign(new Rooms(() => 1), {
    watched: () => [userId],
    tell: ({ status, version }: { status: string; version: number }) => void told.push([status, version]),
  });
  const reads = { snapshot: () => new Promise<Snapshot>((resolve) => looks.push(resolve)) };
  const others = {
    connections: {},
    conversationRooms: { onChange: () => {}, listenersTo: () => [] },
    roomMembers: { audience: { resync: async () => {}, tell: () => {}, wanted: () => new Map() } },
  };
  const audience = new Audience({
    ...others,
    rooms,
    reads,
    everyone: false,
    maxWatched: 100,
    delivered: () => '0-0',
    everybody: async function* () {},
    missed: () => {},
    now: () => clock.now,
  } as unknown as AudienceDeps);
  return { audience, told, looks };
}

const LEFT = truth('inactive', 90_000, 90_001, '5-0');
const BACK = truth('active', 95_000, 95_001, '9-0');
const back = {
  id: '9-0',
  kind: 'change' as const,
  change: {
    userId,
    status: 'active' as const,
    lastSeen: 95_000,
    version: 95_001,
    at: 95_001,
    cause: 'connect' as const,
  },
};

test('of two tellings of what is true the one that looked first does not undo what the other told', async () => {
  const { audience, told, looks } = withSlowStores();
  const [first, second] = [audience.resync(), audience.resync()];
  looks[1]?.(BACK);
  await second;
  looks[0]?.(LEFT);
  await first;
  expect(told).toEqual([['active', 95_001]]);
});

test('nor does it where the event of that comes in between, and is not told for everybody knows', async () => {
  const { audience, told, looks } = withSlowStores();
  const [first, second] = [audience.resync(), audience.resync()];
  looks[1]?.(BACK);
  await second;
  await audience.prepare({ shard, items: [back] });
  audience.onBatch({ shard, items: [back] });
  looks[0]?.(LEFT);
  await first;
  expect(told).toEqual([['active', 95_001]]);
});

test('what one look found is told where nothing newer was', async () => {
  const { audience, told, looks } = withSlowStores();
  const [first, second] = [audience.resync(), audience.resync()];
  looks[0]?.(LEFT);
  await first;
  looks[1]?.(BACK);
  await second;
  expect(told).toEqual([
    ['inactive', 90_001],
    ['active', 95_001],
  ]);
});

test('where a picture has shown something newer to one viewer meanwhile, the others are told that, and nobody what is older', async () => {
  const { audience, told, looks } = withSlowStores();
  const telling = audience.resync();
  const socket = { connected: true, data: { connection: null } };
  const viewer: Viewer = { socket, userId: 'bob', watching: null, batch: false, gathered: null } as unknown as Viewer;
  const looking = audience.look(viewer, [userId]);
  looks[1]?.(BACK);
  audience.show(await looking);
  looks[0]?.(LEFT);
  await expect.poll(() => looks.length).toBe(3);
  expect(told).toEqual([]);
  looks[2]?.(BACK);
  await telling;
  expect(told).toEqual([['active', 95_001]]);
});

test('what Redis knew nothing of is told as older than what happens while it is being read, however long that takes', async () => {
  const clock = { now: 94_000 };
  const { audience, told, looks } = withSlowStores(clock);
  const telling = audience.resync();
  clock.now = 100_000;
  looks[0]?.(truth('inactive', 90_000, 0, '0-0'));
  await telling;
  await audience.prepare({ shard, items: [back] });
  audience.onBatch({ shard, items: [back] });
  expect(told).toEqual([
    ['inactive', 93_000],
    ['active', 95_001],
  ]);
});
