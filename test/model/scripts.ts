import type { StoredSource, StoredUser } from '../../src/presence/change.ts';
import { canReturn, countsForLimit, isLive, NO_CONNECTION, type Session } from '../../src/presence/session.ts';
import { freshest } from '../../src/presence/status.ts';
import {
  announce,
  applyStored,
  begin,
  type Circumstances,
  type CloseReason,
  dated,
  detailOf,
  drop,
  endHiding,
  finish,
  heard,
  isRefused,
  type Outcome,
  type Person,
  refuse,
  settle,
  statusOf,
  type Turn,
  tell,
  wasActiveUntil,
} from './person.ts';

/**
 * What can happen to a person (see person.ts), a function each. `…AgeMs` says how long ago it happened, for what was late
 * on its way.
 */

/** Who says something: a connection, of the session that it believes to hold. */
export interface Speaker {
  sessionId: string;
  conn: string;
}

export interface Hello extends Speaker {
  kind: Session['kind'];
  name: string;
  state: Session['state'];
  ttlMs: number | null;
  beatAgeMs: number;
  connectedAgeMs: number;
  /** connect: somebody comes; restore: an open connection tells of a session that the store does not know. */
  mode: 'connect' | 'restore';
  maxSessions: number;
}

/** The session made by a POST of somebody who has no socket. */
export const POSTED = 'posted';

/** A session begins, or goes on in a new connection. */
export function open(
  before: Person,
  hello: Hello,
  circumstances: Circumstances,
): Outcome<'ok' | 'full' | 'stale' | CloseReason> {
  const turn = begin(before, circumstances);
  settle(turn);
  const { person, now } = turn;
  const { sessionId, conn, kind, name, ttlMs } = hello;
  const previous = find(person, sessionId);
  const others = person.sessions.filter((session) => session !== previous);
  const code = judge(turn, hello, previous, others);
  if (code === 'ok') {
    if (previous && previous.conn !== conn) end(turn, [previous], 'replaced');
    const quiet = others.filter(endsQuietly);
    const left = [previous, ...quiet];
    for (const session of quiet) drop(turn, session);
    // The new session takes their signs of life over.
    const lastBeat = Math.max(now - hello.beatAgeMs, ...left.map((session) => session?.lastBeat ?? 0));
    const connectedAt = now - hello.connectedAgeMs;
    // A device that comes back is as it said last, until it says so anew.
    const state = hello.mode === 'connect' && previous ? previous.state : hello.state;
    const opened = { sessionId, conn, kind, name, state, ttlMs, connectedAt, lastBeat, deadline: null };
    person.sessions = [...person.sessions.filter((session) => session !== previous), { ...opened, standing: 'live' }];
    heard(person, lastBeat);
  }
  // A hello that is refused tells nothing, unless what PostgreSQL remembers has just been read with it.
  if (code === 'ok' || person.toldBeforeLoss || statusOf(person) === 'active') {
    tell(turn, { active: hello.mode === 'connect' ? 'connect' : 'heartbeat', inactive: 'timeout' });
  }
  return finish(turn, code);
}

function judge(turn: Turn, hello: Hello, previous: Session | undefined, others: Session[]) {
  const { now, ttlMs } = turn;
  // Whoever restores only goes on; whoever connects may take a session over.
  if (hello.mode === 'restore' && previous && previous.conn !== hello.conn) return 'replaced';
  if (isRefused(turn, hello.conn)) return 'logout';
  if (hello.mode === 'restore') return now - hello.beatAgeMs + (hello.ttlMs ?? ttlMs) > now ? 'ok' : 'stale';
  return others.filter(countsForLimit).length < hello.maxSessions ? 'ok' : 'full';
}

/** What a POST made, and what nobody can come back for, needs nobody to end it once somebody is really there. */
function endsQuietly({ sessionId, standing }: Session): boolean {
  return standing === 'posted' || (standing !== 'live' && standing !== 'lease' && !canReturn(sessionId));
}

/** A sign of life. `state` null: as said before. A session that is not known is `missing`, and may be restored. */
export function touch(
  before: Person,
  beat: Speaker & { ageMs: number; state: Session['state'] | null },
  circumstances: Circumstances,
): Outcome<'ok' | 'missing' | CloseReason> {
  const turn = begin(before, circumstances);
  const { person, now } = turn;
  // A session that is overdue simply goes on where another one kept the user active: nothing was told of it.
  const active = person.told === 'active' && statusOf(person) === 'active' && isInTime(person, circumstances);
  if (!active || find(person, beat.sessionId)?.conn !== beat.conn) settle(turn);
  const session = find(person, beat.sessionId);
  if (session && session.conn !== beat.conn) return finish(turn, 'replaced');
  if (isRefused(turn, beat.conn)) return finish(turn, 'logout');
  if (!session) return finish(turn, 'missing');
  if (session.state === 'active' && beat.state === 'idle') wasActiveUntil(turn, now - beat.ageMs);
  session.state = beat.state ?? session.state;
  session.lastBeat = Math.max(session.lastBeat, now - beat.ageMs);
  heard(person, session.lastBeat);
  tell(turn, { active: 'heartbeat', inactive: 'heartbeat' });
  return finish(turn, 'ok');
}

/**
 * A connection says goodbye. The session ends, or stays for a grace in which its device may come back. A goodbye that is
 * late, because another connection holds the session by now, ends nothing. That others are told follows: with the next
 * thing that happens, at the latest with the look that a close brings about at once.
 */
export function close(
  before: Person,
  goodbye: Speaker & { ageMs: number; graceMs: number },
  circumstances: Circumstances,
): Outcome<'ok' | 'late'> {
  const turn = begin(before, circumstances);
  settle(turn);
  const { person, now } = turn;
  const session = find(person, goodbye.sessionId);
  refuse(turn, goodbye.conn, session);
  if (!session || session.conn !== goodbye.conn) return finish(turn, 'late');
  const moment = now - goodbye.ageMs;
  session.lastBeat = Math.max(session.lastBeat, moment);
  heard(person, session.lastBeat);
  if (goodbye.graceMs > 0) {
    Object.assign(session, { conn: NO_CONNECTION, standing: 'grace', deadline: moment + goodbye.graceMs });
  } else {
    drop(turn, session, session.lastBeat);
    person.end = 'disconnect';
  }
  // Who is left may be idle.
  if (person.sessions.length > 0) tell(turn, { active: 'connect', inactive: 'timeout' });
  return finish(turn, 'ok');
}

/**
 * The web that holds these sessions stops. The clients are told to come back, and until `handoverMs` have passed they are
 * here. A session that nobody can come back for ends at once, quietly, where another one is live: should that one fall
 * silent, the client is waited for as before; should it leave, nobody is.
 */
export function handOver(
  before: Person,
  given: { speakers: readonly Speaker[]; handoverMs: number },
  circumstances: Circumstances,
): Outcome {
  const turn = begin(before, circumstances);
  settle(turn);
  const { person, now, ttlMs } = turn;
  const leaving = person.sessions
    .filter(({ sessionId, conn }) => given.speakers.some((one) => one.sessionId === sessionId && one.conn === conn))
    // The freshest last: where all of them go, it is the one that stays.
    .toSorted((a, b) => (freshest([a, b]) === a ? 1 : -1));
  for (const session of leaving) {
    refuse(turn, session.conn, session);
    Object.assign(session, {
      conn: NO_CONNECTION,
      standing: 'handover',
      lastBeat: now,
      deadline: now + given.handoverMs,
    });
    heard(person, now);
    const heir = canReturn(session.sessionId) ? null : freshest(person.sessions.filter(isSocket));
    if (!heir) continue;
    heir.lastBeat = Math.max(heir.lastBeat, Math.min(now, now + given.handoverMs - (heir.ttlMs ?? ttlMs)));
    // For as long as the client is waited for, the user is no more idle than before.
    drop(turn, session, now + given.handoverMs);
  }
  if (person.sessions.length > 0) tell(turn, { active: 'connect', inactive: 'timeout' });
  return finish(turn, 'ok');
}

/** The user chooses to appear inactive, whatever their connections do. What others know ends with this moment. */
export function chooseInactive(before: Person, forMs: number | null, circumstances: Circumstances): Outcome {
  const turn = begin(before, circumstances);
  settle(turn);
  const { person, now } = turn;
  const earlier = person.appearInactive;
  if (person.sessions.length > 0) heard(person, now);
  const since = typeof earlier === 'object' ? earlier.since : now;
  person.appearInactive = { since, until: forMs === null ? null : now + forMs };
  tell(turn, { active: 'manual', inactive: 'manual' });
  return finish(turn, 'ok');
}

/**
 * The user chooses to be active: that ends appearing inactive, and is a sign of life of the freshest session that somebody
 * holds; where there is none it makes one. `clear`: an earlier choice has to be dropped from the durable memory first.
 */
export function chooseActive(before: Person, cleared: boolean, circumstances: Circumstances): Outcome<'ok' | 'clear'> {
  const turn = begin(before, circumstances);
  settle(turn);
  const { person, now } = turn;
  const appearedInactive = person.appearInactive !== 'no';
  if (appearedInactive && !cleared) {
    tell(turn, { active: 'connect', inactive: 'manual' });
    return finish(turn, 'clear');
  }
  endHiding(turn);
  const session = freshest(person.sessions.filter(({ standing }) => standing === 'live' || standing === 'posted'));
  if (session) session.lastBeat = now;
  else person.sessions.push(posted(now));
  for (const { lastBeat } of person.sessions) heard(person, lastBeat);
  tell(turn, { active: appearedInactive ? 'manual' : 'heartbeat', inactive: 'timeout' });
  return finish(turn, 'ok');
}

/** Somebody says something of the user beside the status, or takes it back: all that is said by now. No sign of life. */
export function setDetail(
  before: Person,
  { revision, sources }: { revision: number; sources: readonly StoredSource[] },
  circumstances: Circumstances,
): Outcome {
  const turn = begin(before, circumstances);
  settle(turn);
  const { person, now } = turn;
  if (revision >= person.detailRevision) {
    person.sources = dated(sources, now);
    person.detailRevision = revision;
  }
  tell(turn, { active: 'connect', inactive: person.end ?? 'timeout' });
  return finish(turn, 'ok');
}

/**
 * Other people may see the user from now on. Told to everybody who may be concerned, with the detail, which some of them
 * get to see and others no longer do.
 */
export function changePrivacy(before: Person, circumstances: Circumstances): Outcome {
  const turn = begin(before, circumstances);
  settle(turn);
  const { person } = turn;
  tell(turn, { active: 'connect', inactive: person.end ?? 'timeout' });
  if (person.appearInactive === 'unknown') return finish(turn, 'ok');
  // All there is to tell is told with it.
  person.owed = null;
  if (Object.keys(detailOf(turn)).length > 0) person.toldDetail = null;
  announce(turn, 'privacy');
  return finish(turn, 'ok');
}

/** Signs out one session or (null) all; with `conn`, only where that connection holds it. With the last one a choice ends. */
export function logOut(
  before: Person,
  which: { sessionId: string | null; conn: string | null },
  circumstances: Circumstances,
): Outcome<'ok' | 'missing'> {
  const turn = begin(before, circumstances);
  settle(turn);
  const { person, now } = turn;
  const ending = person.sessions.filter(({ sessionId, conn }) => {
    return which.sessionId === null || (sessionId === which.sessionId && (which.conn === null || conn === which.conn));
  });
  // A connection whose session ended by silence signs the user out all the same, where nobody else is there.
  const alone = which.conn !== null && person.sessions.length === 0;
  if (which.sessionId !== null && ending.length === 0 && !alone) return finish(turn, 'missing');
  if (which.conn !== null)
    refuse(
      turn,
      which.conn,
      person.sessions.find(({ sessionId }) => sessionId === which.sessionId),
    );
  for (const { standing, lastBeat } of ending) heard(person, standing === 'live' ? now : lastBeat);
  end(turn, ending, 'logout');
  // Others of theirs may be here of whom the store has not heard again yet: it is told once it has.
  const wait = which.sessionId !== null && turn.held && person.told === 'active' && person.appearInactive === 'no';
  if (person.sessions.length === 0 && wait) {
    person.end = 'logout';
  } else if (person.sessions.length === 0) {
    // An unknown choice is ended where it is remembered; until that can be asked, nobody is told anything.
    if (person.appearInactive !== 'unknown') person.appearInactive = 'no';
    tell(turn, { active: 'connect', inactive: 'logout' });
    person.loggedOut = true;
  } else tell(turn, { active: 'connect', inactive: 'timeout' });
  return finish(turn, 'ok');
}

/** PostgreSQL answers, for somebody who came while it was away, or who was active when the store was lost. */
export function adopt(before: Person, stored: StoredUser, circumstances: Circumstances): Outcome {
  const turn = begin(applyStored(before, stored, circumstances.now), circumstances);
  settle(turn);
  tell(turn, { active: 'connect', inactive: 'timeout' });
  return finish(turn, 'ok');
}

/** Whether some session's deadline is still to come. */
function isInTime(person: Person, { now, ttlMs }: Circumstances): boolean {
  return person.sessions.some((session) => isLive(session, now, ttlMs));
}

function isSocket({ standing }: Session): boolean {
  return standing === 'live';
}

function find(person: Person, sessionId: string): Session | undefined {
  return person.sessions.find((session) => session.sessionId === sessionId);
}

/** Ends sessions, refuses their connections from now on, and has them closed. */
function end(turn: Turn, sessions: Session[], reason: CloseReason): void {
  const held = sessions.filter(({ conn }) => conn !== NO_CONNECTION);
  for (const session of held) refuse(turn, session.conn, session);
  for (const session of sessions) drop(turn, session);
  const conns = held.map(({ conn }) => conn);
  if (conns.length > 0) turn.closed.push({ conns, reason });
}

function posted(now: number): Session {
  const at = { ttlMs: null, connectedAt: now, lastBeat: now, deadline: null };
  return {
    sessionId: POSTED,
    conn: NO_CONNECTION,
    standing: 'posted',
    kind: 'other',
    name: '',
    state: 'active',
    ...at,
  };
}
