import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NO_CONNECTION } from '../../src/presence/session.ts';
import { createKeys, shardOf } from '../../src/redis/keys.ts';
import { Outbox } from '../../src/redis/outbox.ts';
import type { OutboxEntry } from '../../src/redis/outbox-entry.ts';
import { PresenceStore } from '../../src/redis/presence-store.ts';
import { parseRecord } from '../../src/redis/record.ts';
import { RoomLists } from '../../src/redis/room-lists.ts';
import { UserRooms } from '../../src/redis/user-rooms.ts';
import { RoomsOfPerson } from '../model/rooms.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';
import { LateClock, ModelTime } from './model-time.ts';

const { PROPERTY_SEED = '1', PROPERTY_SECONDS = '4' } = process.env;
const TTL_MS = 60_000;
const MAX_ROOMS = 2;
const SHARD = 3;
const START = Date.UTC(2030, 0, 1);
const ofShard = (prefix: string, count: number) =>
  Array.from({ length: 1000 }, (_, n) => `${prefix}${n}`)
    .filter((id) => shardOf(id) === SHARD)
    .slice(0, count);
const USERS = ofShard('user:', 2);
const ROOMS = ofShard('doc:', 3);

type Step =
  | { do: 'open'; user: number; device: number; named: { room: number; data: number }[] | null }
  | { do: 'close'; user: number; device: number }
  | { do: 'lease'; user: number; lease: number; named: { room: number; data: number }[] | null; ttlMs: number }
  | { do: 'end lease'; user: number; lease: number }
  | { do: 'join' | 'update'; user: number; device: number; room: number; data: number }
  | { do: 'leave'; user: number; device: number; room: number }
  | { do: 'put out'; user: number; room: number }
  | { do: 'hide'; user: number }
  | { do: 'show'; user: number }
  | { do: 'log out'; user: number }
  | { do: 'time passes'; ms: number };

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { noNullPrototype: true });
const user = fc.nat(1);
const device = fc.nat(2);
const room = fc.nat(2);
/** 0: nothing is said. */
const data = fc.nat(2);
const named = fc.option(fc.uniqueArray(record({ room, data }), { selector: (one) => one.room, maxLength: 2 }));
const ms = fc.oneof(fc.nat(1500), fc.constantFrom(1999, 2000, 2001), fc.nat(TTL_MS + 10));
const weighted: [number, fc.Arbitrary<Step>][] = [
  [6, record({ do: fc.constant('open' as const), user, device, named })],
  [3, record({ do: fc.constant('close' as const), user, device })],
  [
    4,
    record({ do: fc.constant('lease' as const), user, lease: fc.nat(1), named, ttlMs: fc.constantFrom(3000, TTL_MS) }),
  ],
  [1, record({ do: fc.constant('end lease' as const), user, lease: fc.nat(1) })],
  [9, record({ do: fc.constantFrom('join' as const, 'update' as const), user, device, room, data })],
  [4, record({ do: fc.constant('leave' as const), user, device, room })],
  [1, record({ do: fc.constant('put out' as const), user, room })],
  [4, record({ do: fc.constantFrom('hide' as const, 'show' as const), user })],
  [1, record({ do: fc.constant('log out' as const), user })],
  [4, record({ do: fc.constant('time passes' as const), ms })],
];
const steps = fc.array(fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary }))), {
  minLength: 1,
  maxLength: 40,
  size: 'max',
});

const dataOf = (n: number) => (n === 0 ? '' : JSON.stringify({ n }));

/** Users, their sessions and rooms: the scripts on a real Redis, and beside them what the rules say of rooms. */
class RoomWorld {
  readonly #time: ModelTime;
  readonly #store: PresenceStore;
  readonly #rooms: UserRooms;
  readonly #lists: RoomLists;
  readonly #outbox: Outbox;
  readonly #keys: ReturnType<typeof createKeys>;
  #people = new Map<string, RoomsOfPerson>();
  #conns = new Map<string, string>();
  #serial = 0;
  /** Every world is a store of its own. */
  #epoch = 0;
  /** What was told last of a user's rooms, and of a room. */
  #sequences = new Map<string, number>();
  #versions = new Map<string, number>();
  /** Who is in a room, as somebody knows who hears what is told of it. */
  #heard = new Map<string, Map<string, string>>();

  constructor(time: ModelTime, prefix: string) {
    const keys = createKeys(prefix, false);
    const clock = new LateClock(time);
    this.#time = time;
    this.#keys = keys;
    this.#store = new PresenceStore(time.redis, keys, clock, TTL_MS);
    this.#rooms = new UserRooms(time.redis, keys, clock, TTL_MS, MAX_ROOMS);
    const where = { redis: time.redis, keys, clock, pulse: { epochOf: () => String(this.#epoch) }, ttlMs: TTL_MS };
    this.#lists = new RoomLists(where, { limit: 1000, told: [] });
    this.#outbox = new Outbox(time.redis, keys);
  }

  async begin(prefix: string): Promise<void> {
    const names = await this.#time.redis.keys(`${prefix}*`);
    if (names.length > 0) await this.#time.redis.del(...names);
    await this.#time.start(START);
    this.#epoch++;
    this.#people = new Map(USERS.map((userId) => [userId, new RoomsOfPerson()]));
    for (const map of [this.#conns, this.#sequences, this.#versions]) map.clear();
    this.#heard = new Map(ROOMS.map((roomId) => [roomId, new Map()]));
  }

  async step(step: Step): Promise<void> {
    await this.#time.pass(1);
    await this.#do(step);
    await this.#agree();
  }

  async #do(step: Step): Promise<void> {
    if (step.do === 'time passes') {
      await this.#time.pass(step.ms);
      await this.#store.expire(
        SHARD,
        USERS.map((userId) => ({ userId, number: '' })),
      );
      return;
    }
    const userId = USERS[step.user] ?? '';
    const person = this.#people.get(userId) as RoomsOfPerson;
    const now = this.#time.now;
    if (step.do === 'hide' || step.do === 'show') {
      const chosen = { expiresInMs: null, cleared: step.do === 'show', claims: null };
      await this.#store.setStatus(userId, step.do === 'hide' ? 'inactive' : 'active', chosen, 'new');
      return;
    }
    if (step.do === 'log out') {
      await this.#store.logOut(userId, null);
      return;
    }
    const roomId = 'room' in step ? (ROOMS[step.room] ?? '') : '';
    if (step.do === 'put out') {
      const { code } = await this.#rooms.putOut(userId, roomId);
      await this.#settle(userId);
      expect(code).toBe(person.rooms.has(roomId) ? 'ok' : 'absent');
      person.rooms.delete(roomId);
      return;
    }
    if (step.do === 'lease' || step.do === 'end lease') return this.#lease(step, userId, person);
    const sessionId = `d${step.device}`;
    const pair = `${userId} ${sessionId}`;
    if (step.do === 'open') {
      const conn = `web.${this.#serial++}`;
      const rooms = step.named?.map((one) => ({ roomId: ROOMS[one.room] ?? '', data: dataOf(one.data) }));
      const times = { beatAgeMs: 0, connectedAgeMs: 0, ttlMs: null, maxSessions: 20, mode: 'connect' as const };
      const hello = { userId, sessionId, conn, kind: 'web' as const, name: '', state: 'active' as const, claims: null };
      const { code } = await this.#store.open({ ...hello, ...times, rooms }, 'new');
      expect(code).toBe('ok');
      this.#conns.set(pair, conn);
      await this.#settle(userId, false);
      person.claim(sessionId, rooms ?? null, now);
      return;
    }
    const conn = this.#conns.get(pair) ?? '';
    const session = { userId, sessionId, conn, roomId };
    if (step.do === 'close') {
      if (conn !== '') await this.#store.close(session, 0, 0);
      return;
    }
    const lives = await this.#settle(userId);
    const isThere = person.isIn(roomId, sessionId);
    const own = 'data' in step ? dataOf(step.data) : '';
    const done =
      step.do === 'join'
        ? this.#rooms.join(session, own)
        : step.do === 'update'
          ? this.#rooms.update(session, own)
          : this.#rooms.leave(session);
    const { code } = await done;
    if (conn === '' || !lives.has(sessionId)) return expect(code).toBe('missing');
    if (step.do === 'join' && !isThere && person.countOf(sessionId) >= MAX_ROOMS) return expect(code).toBe('full');
    if (step.do !== 'join' && !isThere) return expect(code).toBe('absent');
    expect(code).toBe('ok');
    if (step.do === 'leave') person.take(roomId, sessionId);
    else person.put(roomId, sessionId, own, now);
  }

  /** Presence without a connection: nobody claims its rooms anew, and where nothing is said of them they stay what they were. */
  async #lease(step: Extract<Step, { lease: number }>, userId: string, person: RoomsOfPerson): Promise<void> {
    const lease = { userId, sessionId: `l${step.lease}`, conn: NO_CONNECTION };
    if (step.do === 'end lease') {
      await this.#store.close(lease, 0, 0);
      return;
    }
    const now = this.#time.now;
    const rooms = step.named?.map((one) => ({ roomId: ROOMS[one.room] ?? '', data: dataOf(one.data) }));
    const times = { beatAgeMs: 0, connectedAgeMs: 0, ttlMs: step.ttlMs, maxSessions: 20, mode: 'lease' as const };
    const { code } = await this.#store.open(
      { ...lease, ...times, kind: null, state: null, name: '', claims: null, rooms },
      'new',
    );
    expect(code).toBe('ok');
    await this.#settle(userId, false);
    if (rooms) person.claim(lease.sessionId, rooms, now);
  }

  /** Brings the rules up to what has become of a user's sessions, which have rules and tests of their own. */
  async #settle(userId: string, isAll = true): Promise<Set<string>> {
    if (isAll) await this.#rooms.ofUsers(SHARD, [userId]);
    const flat = await this.#time.redis.hgetall(this.#keys.record(userId));
    const found = parseRecord(Object.entries(flat).flat());
    const live = new Set(found.sessions.map(({ sessionId }) => sessionId));
    this.#people.get(userId)?.settle(live, found.hiddenUntil === null && live.size > 0, this.#time.now);
    return live;
  }

  async #agree(): Promise<void> {
    const visible = new Set<string>();
    for (const userId of USERS) {
      const live = await this.#settle(userId);
      const { hiddenUntil } = parseRecord(
        Object.entries(await this.#time.redis.hgetall(this.#keys.record(userId))).flat(),
      );
      if (hiddenUntil === null && live.size > 0) visible.add(userId);
      const { users } = await this.#rooms.ofUsers(SHARD, [userId]);
      const found = users[0]?.rooms.map(({ roomId, since, sessions }) => ({ roomId, since, sessions })) ?? [];
      const expected = [...(this.#people.get(userId)?.rooms ?? [])].map(([roomId, { since, sessions }]) => ({
        roomId,
        since,
        sessions: sessions.map(({ sessionId, data }) => ({ sessionId, data })),
      }));
      expect(byRoom(found), userId).toEqual(byRoom(expected));
    }
    const entries = await this.#drain();
    for (const entry of entries) if (entry.kind === 'rooms') this.#grows(this.#sequences, entry.userId, entry.sequence);
    await this.#lists.apply(entries.flatMap((entry) => (entry.kind === 'rooms' ? [entry] : [])));
    for (const entry of await this.#drain()) if (entry.kind === 'room') this.#hear(entry);
    for (const roomId of ROOMS) {
      const expected = [...visible].flatMap((userId) => {
        const stay = this.#people.get(userId)?.rooms.get(roomId);
        return stay ? [`${userId} ${stay.since} ${stay.sessions.at(-1)?.data}`] : [];
      });
      const { members, counts } = await this.#lists.read(roomId, '', 100);
      expect(members.map((member) => `${member.userId} ${member.since} ${member.data}`)).toEqual(expected.sort());
      expect(counts).toEqual({ all: expected.length, open: expected.length, everyone: expected.length });
      expect([...(this.#heard.get(roomId)?.keys() ?? [])].sort()).toEqual(members.map(({ userId }) => userId));
    }
  }

  #hear({ roomId, version, what, member }: Extract<OutboxEntry, { kind: 'room' }>): void {
    this.#grows(this.#versions, roomId, version);
    const there = this.#heard.get(roomId);
    if (!member || !there) return;
    if (what === 'left') expect(there.delete(member.userId), 'who left was there').toBe(true);
    else if (what === 'joined') there.set(member.userId, member.data);
    else expect(there.has(member.userId), 'who changed is there').toBe(true);
  }

  #grows(last: Map<string, number>, name: string, number: number): void {
    expect(number, `what is told of ${name} only grows`).toBeGreaterThan(last.get(name) ?? 0);
    last.set(name, number);
  }

  async #drain(): Promise<OutboxEntry[]> {
    const entries: OutboxEntry[] = [];
    for (let done: string[] = []; ; ) {
      const step = { token: 'deliver', count: 100 };
      const taken = (await this.#outbox.take('deliver', new Map([[SHARD, done]]), step)).get(SHARD);
      if (taken?.state !== 'entries') return entries;
      entries.push(...taken.entries);
      done = taken.entries.map(({ id }) => id);
    }
  }
}

const byRoom = <T extends { roomId: string }>(all: readonly T[]) =>
  [...all].sort((a, b) => (a.roomId < b.roomId ? -1 : 1));

let stores: TestStores;
let time: ModelTime;
beforeAll(async () => {
  stores = await openTestStores('room rules');
  time = new ModelTime(stores.redisUrl, stores.redisPrefix);
});
afterAll(async () => {
  time.redis.disconnect();
  await stores.close();
});

test('whatever sessions do in rooms in whatever order, who is there, what is shown and what is told is what the rules say', {
  timeout: Number(PROPERTY_SECONDS) * 1000 + 600_000,
}, async () => {
  const world = new RoomWorld(time, stores.redisPrefix);
  const property = fc.asyncProperty(steps, async (all) => {
    await world.begin(stores.redisPrefix);
    for (const step of all) await world.step(step);
  });
  const until = performance.now() + Number(PROPERTY_SECONDS) * 1000;
  for (let seed = Number(PROPERTY_SEED); performance.now() < until; seed++) {
    const details = await fc.check(property, { seed, numRuns: 10 });
    if (details.failed) throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance });
  }
});
