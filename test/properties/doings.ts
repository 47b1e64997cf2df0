import { expect } from 'vitest';
import type { DETAIL_FIELDS, Detail } from '../../src/presence/change.ts';
import type { SessionState } from '../../src/presence/session.ts';
import { NO_DIFFERENCE } from '../../src/presence/visibility.ts';
import type { Chosen, OpenRequest, Stored } from '../../src/redis/presence-types.ts';
import type { Staged } from '../../src/redis/privacy-cache.ts';
import type { Person } from '../model/person.ts';
import {
  changePrivacy,
  chooseActive,
  chooseInactive,
  close,
  handOver,
  logOut,
  open,
  POSTED,
  setDetail,
  touch,
} from '../model/scripts.ts';
import { adoptUsers, inspect, look, record, snapshot, sweep, work } from './keeping.ts';
import { endLease, lease, renew } from './leasing.ts';
import { HANDOVER_MS, MAX_SESSIONS, type Step, TTL_MS } from './steps.ts';
import { type Connection, SHARD, type World } from './world.ts';

type Of<Name extends Step['do']> = Extract<Step, { do: Name }>;

/** Does one step to the scripts and by the rules, and compares what both answer. */
export async function doStep(world: World, step: Step): Promise<void> {
  switch (step.do) {
    case 'open':
      return comes(world, step);
    case 'lease':
      return lease(world, step);
    case 'renew':
      return renew(world, step);
    case 'end lease':
      return endLease(world, step);
    case 'open again':
      return forConnection(world, step.conn, (connection) => hello(world, connection, { mode: 'connect' }));
    case 'restore': {
      const { ageMs, state } = step;
      return forConnection(world, step.conn, (connection) =>
        hello(world, connection, { mode: 'restore', ageMs, state }),
      );
    }
    case 'beat':
      return beat(world, step);
    case 'close':
      return forConnection(world, step.conn, (connection) => goodbye(world, connection, step));
    case 'hand over':
      return drain(world, step);
    case 'hide':
      return hide(world, step);
    case 'restrict':
      return restrict(world, step);
    case 'say':
      return say(world, step);
    case 'show':
      return show(world, step);
    case 'log out':
      return signOut(world, step);
    case 'look':
      return look(
        world,
        step.users.map((user) => world.user(user)),
      );
    case 'work':
      return work(world);
    case 'sweep':
      return sweep(world);
    case 'snapshot':
      return snapshot(world);
    case 'inspect':
      return inspect(world, world.user(step.user));
    case 'time passes':
      return world.pass(step.ms);
    case 'outage':
      world.stopPulse();
      return world.pass(step.ms);
    case 'pulse':
      return world.pulse();
    case 'record':
      return record(world);
    case 'postgres':
      world.postgresAway = step.away;
      return;
    case 'adopt':
      return adoptUsers(world);
    case 'lose everything':
      return world.lose();
  }
}

async function forConnection(world: World, n: number, work: (connection: Connection) => Promise<void>): Promise<void> {
  for (const connection of world.connection(n)) await work(connection);
}

async function comes(world: World, { user, device, ttlMs, ...how }: Of<'open'>): Promise<void> {
  const conn = `web.${world.connections.length}`;
  const sessionId = device === null ? `c${conn}` : `d${device}`;
  const connection = { userId: world.user(user), sessionId, conn, ttlMs, openedAt: world.now };
  world.connections.push(connection);
  await hello(world, connection, { ...how, mode: 'connect' });
}

interface How {
  mode: 'connect' | 'restore';
  ageMs?: number;
  state?: SessionState;
  lateMs?: number | null;
  seedAnyway?: boolean;
}

async function hello(world: World, { userId, sessionId, conn, ttlMs, openedAt }: Connection, how: How): Promise<void> {
  const { mode, ageMs = 0, state = 'active', lateMs = null, seedAnyway = false } = how;
  const lateness = world.late(lateMs);
  const connectedAgeMs = world.now - openedAt;
  const device = { kind: 'web' as const, name: 'a|b', state, ttlMs };
  const hello = { sessionId, conn, ...device, beatAgeMs: ageMs, connectedAgeMs, maxSessions: MAX_SESSIONS, mode };
  const request: OpenRequest = { ...hello, userId, claims: null };
  const before = world.person(userId);
  let stored = seedAnyway ? world.seedOf(userId) : null;
  let opened = await world.store.open(request, stored);
  if (!before && !stored) {
    expect(opened.code).toBe('stored');
    stored = world.seedOf(userId);
    opened = await world.store.open(request, stored);
  }
  world.owe(opened.followUp);
  const signedOutAt = world.signedOut.get(userId) ?? Number.NEGATIVE_INFINITY;
  // Whoever was here before is signed out, also where the store does not know that they were.
  if (mode === 'restore' && openedAt - lateness <= signedOutAt) return expect(opened.code).toBe('logout');
  const late = { ...hello, beatAgeMs: ageMs + lateness, connectedAgeMs: connectedAgeMs + lateness };
  const person = before && !stored ? before : world.remembered(userId, stored === 'away');
  const outcome = open(person, late, world.circumstances);
  expect(opened.code).toBe(outcome.code);
  // A session too old to be restored makes nobody known; whoever is remembered as active then is settled by `adopt`.
  if (!before && outcome.code === 'stale') return;
  world.follow(outcome);
  // A hello that was long on its way may be due before the job that waits already.
  if (late.beatAgeMs > 0) world.leaveToSweep(userId, world.now + (ttlMs ?? TTL_MS) - late.beatAgeMs);
  if (stored) world.leaveChoiceToSweep(outcome.person);
  expect(opened.version).toBe(outcome.person.version);
}

async function beat(world: World, { beats, lateMs, kept }: Of<'beat'>): Promise<void> {
  const lateness = world.late(lateMs);
  const all = beats.flatMap(({ conn, ageMs, state }) =>
    // A connection beats after it was opened, not before.
    world.connection(conn).map((connection) => {
      const most = Math.max(0, world.now - connection.openedAt);
      return { ...connection, ageMs: Math.min(ageMs, most), state, kept };
    }),
  );
  // What one connection says in a tick is gathered into one beat.
  const said = [...new Map(all.map((each) => [each.conn, each])).values()];
  const { refused, followUps } = await world.store.touch(said);
  for (const followUp of followUps) world.owe(followUp);
  const expected = said.flatMap((each, n) => {
    const person = world.person(each.userId);
    const late = { ...each, ageMs: each.ageMs + lateness };
    const code = person ? world.follow(touch(person, late, world.circumstances)) : 'missing';
    return code === 'ok' ? [] : [{ beat: n, code }];
  });
  expect(refused.toSorted((a, b) => a.beat - b.beat)).toEqual(expected);
}

async function goodbye(world: World, connection: Connection, { ageMs, graceMs, lateMs }: Of<'close'>): Promise<void> {
  const lateAgeMs = world.late(lateMs, ageMs);
  const { late, followUp } = await world.store.close(connection, ageMs, graceMs);
  world.owe(followUp);
  const person = world.person(connection.userId);
  const said = { ...connection, ageMs: lateAgeMs, graceMs };
  expect(late).toBe((person ? world.follow(close(person, said, world.circumstances)) : 'late') === 'late');
}

async function drain(world: World, { conns }: Of<'hand over'>): Promise<void> {
  const all = conns.flatMap((conn) => world.connection(conn));
  world.owe(await world.store.handOver(SHARD, all, HANDOVER_MS));
  for (const [userId, speakers] of Map.groupBy(all, (connection) => connection.userId)) {
    const person = world.person(userId);
    if (person) world.follow(handOver(person, { speakers, handoverMs: HANDOVER_MS }, world.circumstances));
  }
}

async function hide(world: World, { user, forMs }: Of<'hide'>): Promise<void> {
  // The choice is in PostgreSQL first; where that is away nobody can choose.
  if (world.postgresAway) return;
  const userId = world.user(user);
  world.stored.saveHidden(userId, forMs === null ? null : world.now + forMs, world.now);
  const outcome = chooseInactive(world.remembered(userId), forMs, world.circumstances);
  if (world.isUnknown(userId)) world.leaveDetailToSweep(outcome.person);
  const chosen = await choose(world, userId, 'inactive', { expiresInMs: forMs, cleared: false });
  expect(chosen).toMatchObject({ code: world.follow(outcome), ...shown(outcome.person) });
}

type WholeDetail = { [Field in (typeof DETAIL_FIELDS)[number]]: NonNullable<Detail[Field]> };
/** A detail that says something in every field; each `what` another. */
const wholeDetail = (what: number): WholeDetail => ({ availability: 'busy', text: `${what}|"`, emoji: '☕' });

async function say(world: World, { user, source, what, forMs, late }: Of<'say'>): Promise<void> {
  // As with a choice: it is in PostgreSQL first.
  if (world.postgresAway) return;
  const userId = world.user(user);
  const before = world.saidIn(userId);
  const until = forMs === null ? null : world.now + forMs;
  world.stored.saveDetail(userId, SOURCES[source] ?? '', what === 0 ? {} : wholeDetail(what), until, world.now);
  const all = world.saidIn(userId);
  await tellSources(world, userId, all);
  if (late) await tellSources(world, userId, before);
}

const SOURCES = ['elsewhere', 'manual', 'call'];

async function tellSources(world: World, userId: string, all: ReturnType<World['saidIn']>): Promise<void> {
  const isNew = world.person(userId) === null;
  const isUnknown = world.isUnknown(userId);
  const person = world.remembered(userId);
  // It is not known what was told.
  if (isUnknown && person.appearInactive === 'no') person.toldDetail = null;
  let set = await world.store.setDetail(userId, all, null);
  expect(set.code === 'stored').toBe(isUnknown);
  if (set.code === 'stored') set = await world.store.setDetail(userId, all, world.seedOf(userId));
  world.owe(set.followUp);
  // Somebody whom Redis has lost, and who may be here.
  if (isNew && person.toldBeforeLoss) return;
  const outcome = setDetail(person, all, world.circumstances);
  if (isUnknown) world.leaveChoiceToSweep(outcome.person);
  world.leaveDetailToSweep(outcome.person);
  world.follow(outcome);
}

async function restrict(world: World, { user }: Of<'restrict'>): Promise<void> {
  if (world.postgresAway) return;
  const userId = world.user(user);
  const person = world.person(userId);
  const outcome = changePrivacy(person ?? world.remembered(userId), world.circumstances);
  // Somebody else is blocked every time, so every time it is a change.
  const previous = world.stored.revisions.get(userId) ?? 0;
  const revision = ++world.revision;
  const blocks = { added: [`b${revision}`], removed: [] };
  const step = { previous, wasOpen: previous === 0, own: true, friendsBegin: false, friends: NO_DIFFERENCE, blocks };
  const privacy = {
    revision,
    visibility: 'everyone',
    lastSeenVisibility: 'nobody',
    lastSeenPrecision: 'exact',
    open: false,
  } as const;
  world.stored.revisions.set(userId, revision);
  const tell = (staged: Staged | null, stored: Stored | null) =>
    world.privacy.set(userId, privacy, step, staged, stored);
  let set = await tell(null, null);
  expect(set.code === 'stored').toBe(!person);
  const stored = person ? null : world.seedOf(userId);
  if (set.code === 'stored') set = await tell(null, stored);
  if (set.code === 'whole') {
    await world.privacy.stage(userId, 'staged', 'blocks', blocks.added);
    set = await tell({ token: 'staged', size: 1 }, stored);
  }
  expect(set.code).toBe('ok');
  world.owe(set.followUp);
  if (!person) world.leaveChoiceToSweep(outcome.person);
  world.follow(outcome);
}

async function show(world: World, { user, follow }: Of<'show'>): Promise<void> {
  if (world.postgresAway) return;
  const userId = world.user(user);
  let outcome = chooseActive(world.remembered(userId), false, world.circumstances);
  if (world.isUnknown(userId)) world.leaveChoiceToSweep(outcome.person);
  let chosen = await choose(world, userId, 'active', { expiresInMs: null, cleared: false });
  expect(chosen.code).toBe(world.follow(outcome));
  if (outcome.code === 'clear') {
    if (!follow) return;
    world.stored.clearHidden(userId, world.now);
    outcome = chooseActive(outcome.person, true, world.circumstances);
    chosen = await choose(world, userId, 'active', { expiresInMs: null, cleared: true });
    expect(chosen.code).toBe(world.follow(outcome));
  }
  expect(chosen).toMatchObject(shown(outcome.person));
}

/** Asks, and asks again with PostgreSQL's memory where that is needed. */
async function choose(
  world: World,
  userId: string,
  status: 'active' | 'inactive',
  how: { expiresInMs: number | null; cleared: boolean },
): Promise<Chosen> {
  const choice = { ...how, claims: null };
  let chosen = await world.store.setStatus(userId, status, choice, null);
  expect(chosen.code === 'stored').toBe(world.isUnknown(userId));
  if (chosen.code === 'stored') chosen = await world.store.setStatus(userId, status, choice, world.seedOf(userId));
  world.owe(chosen.followUp);
  return chosen;
}

function shown({ told, lastSeen, version }: Person) {
  return { status: told, lastSeen, version };
}

async function signOut(world: World, { user, conn, own }: Of<'log out'>): Promise<void> {
  const [connection] = conn === null ? [] : world.connection(conn);
  const userId = connection?.userId ?? world.user(user);
  // Without any connection yet, one is signed out that only a POST can have made.
  const sessionId = conn === null ? null : (connection?.sessionId ?? POSTED);
  const ofConn = own ? (connection?.conn ?? null) : null;
  const { found, followUp } = await world.store.logOut(userId, sessionId, ofConn ?? '');
  world.owe(followUp);
  if (sessionId === null) world.signedOut.set(userId, world.now);
  const person = world.person(userId);
  const known = person ? world.follow(logOut(person, { sessionId, conn: ofConn }, world.circumstances)) : null;
  expect(found).toBe(known ? known === 'ok' : sessionId === null || ofConn !== null);
}
