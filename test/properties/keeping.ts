import { expect } from 'vitest';
import type { Change } from '../../src/presence/change.ts';
import { detailOf, expire, nextDue, stranger } from '../model/person.ts';
import { adopt } from '../model/scripts.ts';
import { SHARD, userIds, type World } from './world.ts';

/** The steps that no user takes: looking at people, and what workers do. */

export async function look(world: World, users: string[]): Promise<void> {
  const looked = await world.store.expire(
    SHARD,
    users.map((userId) => ({ userId, number: '' })),
  );
  world.owe(looked.followUp);
  expect(looked.users).toMatchObject(users.map((userId) => world.expire(userId)));
}

/** The timeout jobs that are due, each as workers/timeouts.ts does it. */
export async function work(world: World): Promise<void> {
  for (const job of world.jobs.filter(({ at }) => at <= world.now)) {
    world.jobs = world.jobs.filter((each) => each !== job);
    const { users, followUp } = await world.store.expire(SHARD, [job]);
    world.owe(followUp);
    const [user] = users;
    expect(user).toMatchObject(world.expire(job.userId));
    if (user?.nextMs != null && job.number !== '' && user.job === job.number) {
      world.jobs.push({ ...job, at: world.now + user.nextMs });
    }
  }
}

export async function sweep(world: World): Promise<void> {
  const overdue = (await world.leftovers.find([SHARD], 100, 'a worker'))?.shards[0]?.overdue ?? [];
  const circumstances = world.circumstances;
  const expected = userIds.filter((userId) => {
    const person = world.person(userId);
    const at = person && !circumstances.held ? nextDue(person, circumstances) : null;
    return at !== null && at <= circumstances.now;
  });
  // A beat is taken to be as fresh as a second allows, so the index may be that much behind.
  expect(expected).toEqual(expect.arrayContaining(overdue));
  await look(world, expected);
}

export async function snapshot(world: World): Promise<void> {
  const glanced = await world.store.glance(userIds, true);
  const replies = await world.store.readStatuses(SHARD, userIds, null);
  if (replies.followUp) world.owe(replies.followUp);
  const { users, position, followUp } = await world.store.snapshot(SHARD, userIds);
  world.owe(followUp);
  // What is said at a glance is what is said at length.
  for (const [n, glance] of glanced.entries()) {
    if (glance === null) continue;
    const { userId, status, lastSeen } = users[n] ?? {};
    expect(glance).toEqual({ userId, status, lastSeen: lastSeen == null ? null : new Date(lastSeen).toISOString() });
  }
  world.expected.position = position;
  for (const [n, userId] of userIds.entries()) {
    const before = world.person(userId);
    const settled = before && expire(before, world.circumstances);
    // What others cannot see may wait.
    const { sources, appearInactive } = settled?.person ?? {};
    const differs = before?.appearInactive !== appearInactive || before?.sources !== sources;
    if (settled && (settled.changes.length > 0 || differs)) world.follow(settled);
    const person = world.person(userId);
    const cached = world.expected.cached.get(userId) ?? null;
    const choiceUnknown = person?.appearInactive === 'unknown';
    const now = world.now;
    const truth = person && detailOf({ person, now, activeUntil: null });
    const shown = person && (person.toldDetail ?? truth);
    const expected = {
      userId,
      status: person?.told ?? 'inactive',
      lastSeen: person ? person.lastSeen : cached,
      version: person ? person.version : null,
      known: person ? !choiceUnknown : cached !== null,
      choiceUnknown,
      detail: somethingOf(shown),
      access: 'all',
      restricted: false,
    };
    expect({ ...users[n], restricted: false }).toEqual(expected);
    // Who only asks is told what is true by now, though others are still to hear of it.
    expect({ ...replies.users[n], restricted: false }).toEqual({ ...expected, detail: somethingOf(truth) });
  }
}

const somethingOf = (detail: object | null) => (detail && Object.keys(detail).length > 0 ? detail : null);

export async function inspect(world: World, userId: string): Promise<void> {
  const { now, record, followUp } = await world.store.inspect(userId);
  world.owe(followUp);
  world.expire(userId);
  expect(now).toBe(world.now);
  const ids = (sessions: { sessionId: string }[] | undefined) => sessions?.map(({ sessionId }) => sessionId).sort();
  expect(ids(record?.sessions)).toEqual(ids(world.person(userId)?.sessions));
}

/** A drain of the group `record`, and what follows a recorded logout. */
export async function record(world: World): Promise<void> {
  if (world.postgresAway) return;
  let done: string[] = [];
  for (;;) {
    const taken = (await world.outbox.take('record', new Map([[SHARD, done]]), { token: 'record', count: 3 })).get(
      SHARD,
    );
    if (taken?.state !== 'entries') break;
    for (const entry of taken.entries) {
      world.stored.record(entry, world.now);
      if (entry.kind !== 'note' || !entry.clearsHidden) continue;
      await world.store.dropCached(SHARD, [{ userId: entry.userId, version: entry.change.version }]);
      forget(world, entry.change);
    }
    done = taken.entries.map((entry) => entry.id);
  }
  for (const userId of userIds) isRecorded(world, userId);
}

function forget(world: World, { userId, version }: Change): void {
  const person = world.person(userId);
  const isThere = person && (person.told === 'active' || person.sessions.length > 0);
  if (isThere || (person?.version ?? 0) > version) return;
  world.expected.cached.set(userId, null);
  if (person) world.expected.forgotten.add(userId);
}

/** All that others may know is remembered once it is recorded. */
function isRecorded(world: World, userId: string): void {
  const person = world.person(userId);
  if (!person || person.appearInactive === 'unknown') return;
  const { status = 'inactive', version = 0, lastSeen = null } = world.stored.of(userId) ?? {};
  expect({ userId, status }).toEqual({ userId, status: person.told });
  // Somebody remembered before all was recorded has an older version, until their next change.
  if (world.expected.told.get(userId)?.status) expect({ userId, version }).toEqual({ userId, version: person.version });
  else expect(version).toBeGreaterThanOrEqual(person.version);
  if (person.told === 'inactive') expect({ userId, lastSeen }).toEqual({ userId, lastSeen: person.lastSeen });
}

/** As the sweep and the maintenance do it: users whose choice is unknown, and users who were lost while active. */
export async function adoptUsers(world: World): Promise<void> {
  if (world.postgresAway) return;
  const choiceUnknown = await world.leftovers.choiceUnknown(SHARD, 100);
  const lost = userIds.filter((userId) => {
    const stored = world.stored.of(userId);
    return (
      !world.person(userId) &&
      (stored?.status === 'active' || [...(stored?.sources.values() ?? [])].some(({ until }) => until !== null))
    );
  });
  const ids = [...new Set([...choiceUnknown, ...lost])];
  const users = ids.map((userId) => ({ userId, stored: world.stored.stored(userId, world.now) }));
  world.owe(await world.store.adopt(SHARD, users));
  for (const { userId, stored } of users) {
    if (!world.isUnknown(userId)) continue;
    const person = world.person(userId) ?? stranger(userId, world.expected.cached.get(userId));
    const outcome = adopt(person, stored, world.circumstances);
    world.follow(outcome);
    world.leaveChoiceToSweep(outcome.person);
  }
}
