import { expect } from 'vitest';
import type { Change, Status } from '../../src/presence/change.ts';
import type { Keys } from '../../src/redis/keys.ts';
import type { Outbox } from '../../src/redis/outbox.ts';
import type { OutboxEntry } from '../../src/redis/outbox-entry.ts';
import { parseRecord } from '../../src/redis/record.ts';
import { type Circumstances, type CloseReason, lastDeadline, nextDue, type Person, statusOf } from '../model/person.ts';
import type { ModelTime } from './model-time.ts';

/** What the rules say has to be in Redis. */
export interface Expected {
  people: Map<string, Person | null>;
  /** `user:last_seen` as it was found last. */
  cached: Map<string, number | null>;
  /** `presence:seen` as it was found last: a logout drops nobody from it. */
  seen: Map<string, number | null>;
  /** The last change of each user. Its version counts over losses, too. */
  told: Map<string, { version: number; status: Status | null; lastSeen: number | null }>;
  /** Logged out and recorded: nothing is cached of them. */
  forgotten: Set<string>;
  /** Since the last comparison. */
  changes: Change[];
  closed: { userId: string; conns: string[]; reason: CloseReason }[];
  /** Up to where a snapshot said that it is true. */
  position: string | null;
}

/** A beat is taken in without looking at more than that it is fresh: keys may be behind by the age it may have. */
const SLACK_MS = 1000;

/** Compares what the scripts left in Redis with what the rules say, and drains the group `deliver`. */
export async function agree(
  time: ModelTime,
  keys: Keys,
  outbox: Outbox,
  shard: number,
  expected: Expected,
  circumstances: Circumstances,
): Promise<void> {
  const entries = await drain(outbox, shard);
  const changes = entries.flatMap((entry) => (entry.kind === 'change' ? [told(entry.change)] : []));
  const closed = entries.flatMap((entry) => (entry.kind === 'close' ? [entry] : []));
  expect(byUser(changes)).toEqual(byUser(expected.changes));
  expect(byUser(closed.map(({ userId, conns, reason }) => ({ userId, conns: conns.sort(), reason })))).toEqual(
    byUser(expected.closed.map((each) => ({ ...each, conns: [...each.conns].sort() }))),
  );
  for (const change of changes) grows(expected, change);
  const last = entries.at(-1);
  if (expected.position && last) expect(expected.position).toBe(last.id);
  Object.assign(expected, { changes: [], closed: [], position: null });

  const expiries = await time.expiries();
  await Promise.all(
    [...expected.people].map(async ([userId, person]) => {
      const [status, lastSeen, record, due, choiceUnknown, seen, apartDue, apartActive] = await Promise.all([
        time.redis.get(keys.status(userId)),
        time.redis.get(keys.lastSeen(userId)),
        time.redis.hgetall(keys.record(userId)),
        time.redis.zscore(keys.due(shard), userId),
        time.redis.sismember(keys.choiceUnknown(shard), userId),
        time.redis.zscore(keys.seen(shard), userId),
        time.redis.zscore(keys.apartDue(shard), userId),
        time.redis.zscore(keys.apartActive(shard), userId),
      ]);
      indexAgrees(expected, userId, person, seen === null ? null : Number(seen));
      const counted = [due, apartDue, apartActive].map((at) => Number(at) > circumstances.now);
      countAgrees(counted, (expiries.get(keys.status(userId)) ?? 0) > circumstances.now);
      if (person) {
        recordAgrees(person, Object.entries(record).flat());
        statusAgrees(person, status, expiries.get(keys.status(userId)), circumstances);
        dueAgrees(person, due === null ? null : Number(due), circumstances);
        expect(choiceUnknown === 1, 'unseeded').toBe(person.appearInactive === 'unknown');
        const told = expected.told.get(userId);
        if (told?.status) expect(person, 'who was told').toMatchObject({ told: told.status, version: told.version });
      } else {
        expect({ record, status, due }).toEqual({ record: {}, status: null, due: null });
      }
      const cached = person && !expected.forgotten.has(userId) ? person.lastSeen : expected.cached.get(userId);
      expect({ userId, lastSeen }).toEqual({
        userId,
        lastSeen: cached == null ? null : new Date(cached).toISOString(),
      });
      expected.cached.set(userId, cached ?? null);
    }),
  );
}

async function drain(outbox: Outbox, shard: number): Promise<OutboxEntry[]> {
  const entries: OutboxEntry[] = [];
  let done: string[] = [];
  for (;;) {
    const taken = (await outbox.take('deliver', new Map([[shard, done]]), { token: 'deliver', count: 100 })).get(shard);
    expect(taken?.state).not.toBe('busy');
    if (taken?.state !== 'entries') return entries;
    entries.push(...taken.entries);
    done = taken.entries.map((entry) => entry.id);
  }
}

/** A script for several users does them in an order of its own. */
/** Who may see it has rules and tests of its own. */
function told({ restricted, before, ...change }: Change): Change {
  expect(before !== undefined).toBe(change.cause === 'privacy');
  return change;
}

function byUser<T extends { userId: string }>(all: T[]): T[] {
  return all.toSorted((a, b) => (a.userId < b.userId ? -1 : a.userId > b.userId ? 1 : 0));
}

function grows({ told }: Expected, { userId, version, status, lastSeen }: Change): void {
  const before = told.get(userId);
  expect(version, 'a version only grows').toBeGreaterThan(before?.version ?? 0);
  if (before?.status) expect(lastSeen ?? 0, 'last seen never goes back').toBeGreaterThanOrEqual(before.lastSeen ?? 0);
  told.set(userId, { version, status, lastSeen });
}

function recordAgrees(person: Person, flat: string[]): void {
  const record = parseRecord(flat);
  const { appearInactive } = person;
  expect({
    told: record.announced ? 'active' : 'inactive',
    version: record.version,
    unknown: record.choiceUnknown,
    hiddenUntil: record.hiddenUntil,
    hiddenSince: record.hiddenSince,
    sources: record.sources,
    idleSince: record.idleSince,
  }).toEqual({
    told: person.told,
    version: person.version,
    unknown: appearInactive === 'unknown',
    hiddenUntil: typeof appearInactive === 'object' ? (appearInactive.until ?? -1) : null,
    hiddenSince: typeof appearInactive === 'object' ? appearInactive.since : null,
    sources: person.sources.map(({ source, shown, until }) => ({ source, detail: shown, until })),
    idleSince: person.idleSince,
  });
  expect(bySession(record.sessions)).toEqual(bySession(person.sessions));
}

function bySession<T extends { sessionId: string }>(sessions: T[]): T[] {
  return sessions.toSorted((a, b) => (a.sessionId < b.sessionId ? -1 : 1));
}

/** `user:status` exists exactly while somebody who may be seen has a live session. */
function statusAgrees(person: Person, status: string | null, expiry: number | undefined, when: Circumstances): void {
  const deadline = lastDeadline(person, when.ttlMs);
  const left = statusOf(person) === 'active' && deadline !== null ? deadline - when.now : 0;
  if (left > 0) expect(status, 'user:status').toBe('active');
  if (left <= -SLACK_MS || statusOf(person) === 'inactive') expect(status, 'user:status').toBeNull();
  if (status === null || deadline === null) return;
  expect(expiry, 'expiry of user:status').toBeGreaterThanOrEqual(deadline);
  expect(expiry, 'expiry of user:status').toBeLessThanOrEqual(deadline + SLACK_MS);
}

/** Who was last seen when is what others may know of it, and is never forgotten. */
function indexAgrees({ seen }: Expected, userId: string, person: Person | null, found: number | null): void {
  const before = seen.get(userId) ?? null;
  const told = person?.lastSeen ?? before;
  expect({ userId, seen: found }, 'presence:seen').toEqual({ userId, seen: told });
  expect(found ?? 0, 'presence:seen never goes back').toBeGreaterThanOrEqual(before ?? 0);
  seen.set(userId, found);
}

/** Due in the future, less who is due for something else, and those who are active although they are due. */
function countAgrees([due, apartDue, apartActive]: boolean[], active: boolean): void {
  expect(Number(due) - Number(apartDue) + Number(apartActive), 'counted as active').toBe(Number(active));
}

/** Nobody is active without a moment at which somebody looks again. */
function dueAgrees(person: Person, due: number | null, circumstances: Circumstances): void {
  const at = nextDue(person, circumstances);
  if (at === null || due === null) {
    expect(due, 'due').toBe(at);
  } else if (person.sessions.length === 0) {
    expect(due, 'due').toBeLessThanOrEqual(at);
  } else {
    expect(due, 'due').toBeGreaterThanOrEqual(at);
    expect(due, 'due').toBeLessThanOrEqual(at + SLACK_MS);
  }
}
