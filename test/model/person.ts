/**
 * What presence means here: who a person is, what time does to them, and what others are told. What else can happen to a
 * person is in scripts.ts, by the script that does it. No clock, no store: in production the scripts in redis/lua do the same in one atomic step
 * each, and these are the rules that the scripts are checked against, in random sequences.
 *
 * A person has sessions: one per device, or per connection where the client named no device. A session has a deadline, a
 * TTL after it was last heard of, and is gone when that has passed. A person with a session is active, unless they chose to
 * appear inactive. What was told last is remembered, so that every change is told once and whoever comes after a deadline
 * tells first what it means (`settle`), before doing anything else. Functions have the names that they have in the scripts.
 *
 * All times are milliseconds of one clock.
 *
 * Not modelled, and tested by themselves: the hold for webs that are behind with beats (`test/faults/behind.long.test.ts`), a logout
 * that is said again to a Redis that had lost it and what `adopt` does with a record that PostgreSQL is ahead of
 * (`test/faults/failover.long.test.ts`), erasing (`test/flow/erased-meanwhile.test.ts`, `test/flow/erasure.long.test.ts`), who may see whom
 * (`test/properties/privacy-scripts.test.ts`), and clocks that are set (`test/properties/clock-set-back.test.ts`).
 */
import {
  type Cause,
  type Change,
  DETAIL_FIELDS,
  type Detail,
  type ShownDetail,
  type Status,
  type StoredSource,
  type StoredUser,
} from '../../src/presence/change.ts';
import { deadlineOf, isLive, type Session, type Standing } from '../../src/presence/session.ts';

/** `unknown`: PostgreSQL could not be asked. Until it can, nobody is shown who may have chosen not to be. */
export type AppearInactive = 'no' | 'unknown' | { since: number; until: number | null };

/** What one source says of a person, and until when. */
export interface Said {
  source: string;
  shown: Detail;
  until: number | null;
}

export interface Person {
  userId: string;
  sessions: Session[];
  appearInactive: AppearInactive;
  /** The status that others were told last. */
  told: Status;
  /** It was told before the store was lost: being active still is nothing new, and is told as `restored`. */
  toldBeforeLoss: boolean;
  version: number;
  /** The latest sign of life that others may know of. */
  lastSeen: number | null;
  /** A sign of life during which it was unknown whether others may know of it. */
  heardMeanwhile: number | null;
  /** Where the memory has just been read: last seen before anything was heard meanwhile. */
  recalled?: { lastSeen: number | null };
  /** How the last session ended, while that is still to be told. */
  end: Cause | null;
  /** Who says something beside the status, the strongest first. */
  sources: Said[];
  /** Of the sources: the greater is the newer; 0: none ever said anything. */
  detailRevision: number;
  /** What others were told of it last; null: not known, for the store had lost it. */
  toldDetail: ShownDetail | null;
  /** Services were told more than that while the person appeared inactive. */
  toldHidden: boolean;
  /** Since when no session has been active, where all are idle; ahead: from then on, unless one is before. */
  idleSince: number | null;
  /** When somebody has to look whether they are idle by then. */
  idleLook: number | null;
  /** When others were last told that they are idle, or no more, and nothing else with it. */
  idleTold: number | null;
  /** What others were told by the user's own choices, lately; null: nothing. */
  spent: { count: number; since: number; last: number } | null;
  /** When what was too much to tell has to be told; null: nothing waits. */
  owed: number | null;
  /** What waits is that the user is to be shown again. */
  showing: boolean;
  /** A logout ends a choice, also one that has not been read from PostgreSQL yet. */
  loggedOut: boolean;
  /** Connections that were ended, and until when they are refused: what they still send comes too late. */
  refused: Map<string, number>;
}

/** `held`: the store was out of reach a moment ago and may not have heard of everybody yet, so nothing expires. */
export interface Circumstances {
  now: number;
  ttlMs: number;
  held: boolean;
}

export type CloseReason = 'replaced' | 'logout';

export interface Outcome<Code extends string = 'ok'> {
  person: Person;
  code: Code;
  changes: Change[];
  closed: { conns: string[]; reason: CloseReason }[];
}

/** One thing that happens to one person: a copy to work on, and what follows from it. */
export interface Turn extends Circumstances {
  person: Person;
  changes: Change[];
  closed: Outcome['closed'];
  /** Last seen when others were told last that the person is inactive. */
  awaySince: number | null;
  /** Until when there was an active session that is none any more. */
  activeUntil: number | null;
}

export function begin(person: Person, circumstances: Circumstances): Turn {
  const sessions = person.sessions.map((session) => ({ ...session }));
  const { recalled, ...known } = person;
  return {
    ...circumstances,
    person: { ...known, sessions, refused: new Map(person.refused) },
    changes: [],
    closed: [],
    awaySince: recalled ? recalled.lastSeen : person.lastSeen,
    activeUntil: null,
  };
}

export function finish<Code extends string>(turn: Turn, code: Code): Outcome<Code> {
  const { person, changes, closed } = turn;
  // By an event or a picture.
  if (typeof person.appearInactive === 'object' && person.sources.length > 0) person.toldHidden = true;
  person.idleLook = idleLook(turn);
  if ((person.idleTold ?? 0) + IDLE_APART_MS <= turn.now) person.idleTold = null;
  if (person.told === 'inactive' || person.sessions.length > 0) person.end = null;
  return { person, code, changes, closed };
}

/** Somebody nobody has heard of; `lastSeen` is what a cache may still know. */
export function stranger(userId: string, lastSeen: number | null = null): Person {
  return {
    userId,
    sessions: [],
    appearInactive: 'no',
    told: 'inactive',
    toldBeforeLoss: false,
    version: 0,
    lastSeen,
    heardMeanwhile: null,
    end: null,
    sources: [],
    detailRevision: 0,
    toldDetail: {},
    toldHidden: false,
    idleSince: null,
    idleLook: null,
    idleTold: null,
    spent: null,
    owed: null,
    showing: false,
    loggedOut: false,
    refused: new Map(),
  };
}

/** Somebody whom this store had not heard of, or whose choice was unknown, with what PostgreSQL remembers of them. */
export function applyStored(before: Person, stored: StoredUser | 'away', now: number): Person {
  if (stored === 'away') return { ...before, appearInactive: 'unknown' };
  const person: Person = { ...before, appearInactive: 'no', heardMeanwhile: null };
  if (stored.hidden !== null && !before.loggedOut) {
    const { remainingMs } = stored.hidden;
    person.appearInactive = { since: now, until: remainingMs === null ? null : now + remainingMs };
  }
  person.version = Math.max(person.version, stored.version);
  if (stored.lastSeen !== null) person.lastSeen = Math.max(stored.lastSeen, person.lastSeen ?? 0);
  if (stored.status === 'active') {
    person.told = 'active';
    person.toldBeforeLoss = true;
  }
  person.detailRevision = stored.detailRevision;
  if (stored.sources.length > 0) person.sources = dated(stored.sources, now);
  // Told or not, or told to be idle: others are told what is true, be it once more. Who appears inactive tells nothing.
  const mayDiffer = stored.sources.length > 0 || stored.status === 'active';
  if (mayDiffer && person.appearInactive === 'no') person.toldDetail = null;
  person.recalled = { lastSeen: person.lastSeen };
  if (before.heardMeanwhile !== null) heard(person, before.heardMeanwhile);
  return person;
}

/** Sources with the moments at which they end in the place of how long that is. */
export function dated(sources: readonly StoredSource[], now: number): Said[] {
  return sources.map(({ source, detail, remainingMs }) => {
    return { source, shown: detail, until: remainingMs === null ? null : now + Math.max(0, remainingMs) };
  });
}

/** What others may know. */
export function statusOf({ sessions, appearInactive }: Person): Status {
  return appearInactive === 'no' && sessions.length > 0 ? 'active' : 'inactive';
}

/** What others may know of the detail, and whether they are idle. */
export function detailOf({ person, ...turn }: Pick<Turn, 'person' | 'now' | 'activeUntil'>): ShownDetail {
  if (person.appearInactive !== 'no') return {};
  const since = idleFrom({ person, ...turn });
  const idle =
    since !== null && since <= turn.now ? { idle: true as const, idleSince: new Date(since).toISOString() } : {};
  return { ...person.sources[0]?.shown, ...idle };
}

/** Since when no session has been active, where all are idle: an end that is known, else now. */
function idleFrom({ person, now, activeUntil }: Pick<Turn, 'person' | 'now' | 'activeUntil'>): number | null {
  const { sessions } = person;
  const isIdle = sessions.length > 0 && sessions.every(({ state }) => state === 'idle');
  person.idleSince = isIdle ? (person.idleSince ?? activeUntil ?? now) : null;
  return person.idleSince;
}

/** There was an active session until then. */
export function wasActiveUntil(turn: Turn, at: number): void {
  turn.activeUntil = Math.max(at, turn.activeUntil ?? 0);
}

/** Who appeared inactive is shown again. What they did meanwhile is nobody's business. */
export function endHiding({ person, now }: Turn): void {
  const { appearInactive, idleSince } = person;
  if (typeof appearInactive === 'object' && idleSince !== null && idleSince > appearInactive.since)
    person.idleSince = now;
  person.appearInactive = 'no';
}

/** When they will be idle unless something is heard: some sessions are idle, and all others gone by then. */
function idleLook(turn: Turn): number | null {
  const { person, now, ttlMs } = turn;
  const since = idleFrom(turn);
  if (person.appearInactive !== 'no') return null;
  if (since !== null) return since > now ? since : null;
  const active = person.sessions.filter(({ state }) => state === 'active');
  if (active.length === person.sessions.length) return null;
  return Math.max(...active.map((session) => deadlineOf(session, ttlMs)));
}

/** When all sessions are gone unless something is heard; null: there are none. */
export function lastDeadline({ sessions }: Person, ttlMs: number): number | null {
  return sessions.length === 0 ? null : Math.max(...sessions.map((session) => deadlineOf(session, ttlMs)));
}

/** When somebody has to look at the person even if nothing happens; null: never. */
export function nextDue(person: Person, { now, ttlMs }: Circumstances): number | null {
  const deadline = lastDeadline(person, ttlMs) ?? (person.told === 'active' ? now : null);
  const { sources, appearInactive } = person;
  const [strongest] = sources;
  // A choice that ends shows who is here, and what is said of them.
  const concerned = deadline !== null || strongest !== undefined;
  const shownAt = typeof appearInactive === 'object' && concerned ? appearInactive.until : null;
  const all = [deadline, shownAt, strongest?.until ?? null, person.owed, person.idleLook].filter((at) => at !== null);
  return all.length === 0 ? null : Math.min(...all);
}

export function heard(person: Person, moment: number): void {
  if (person.appearInactive === 'unknown') person.heardMeanwhile = Math.max(moment, person.heardMeanwhile ?? 0);
  if (person.appearInactive === 'no') person.lastSeen = Math.max(moment, person.lastSeen ?? 0);
}

/**
 * What others are told by a user's own choices (detail, appearing inactive and back, who may see them): thirty in ten seconds
 * as they come, beyond that the newest once a second. Comings and goings never wait, and neither does appearing inactive.
 */
const TOLD_AT_ONCE = 30;
const TOLD_WINDOW_MS = 10_000;
const GATHERED_FOR_MS = 1000;
const OF_CHOICE = new Set<Cause>(['detail', 'manual', 'privacy']);

function budget({ person, now }: Turn): NonNullable<Person['spent']> {
  const { spent } = person;
  return spent && now - spent.since < TOLD_WINDOW_MS ? spent : { count: 0, since: now, last: spent?.last ?? 0 };
}

/** Whether a choice may be told now; where not, it is owed. */
function mayTell(turn: Turn): boolean {
  const { count, last } = budget(turn);
  const may = count < TOLD_AT_ONCE || turn.now - last >= GATHERED_FOR_MS;
  turn.person.owed = may ? null : last + GATHERED_FOR_MS;
  return may;
}

/** Tells others what is true now, where it differs from what they were told. */
export function tell(turn: Turn, causes: { active: Cause; inactive: Cause }): void {
  const { person } = turn;
  person.owed = null;
  tellStatus(turn, causes);
  if (isIdleNews(turn))
    person.owed = Math.min(person.owed ?? Number.POSITIVE_INFINITY, (person.idleTold ?? 0) + IDLE_APART_MS);
  person.showing = statusOf(person) === 'active' && person.told === 'inactive';
}

function tellStatus(turn: Turn, causes: { active: Cause; inactive: Cause }): void {
  const { person } = turn;
  if (person.appearInactive === 'unknown') return;
  const status = statusOf(person);
  if (status === person.told && !person.toldBeforeLoss) {
    tellDetail(turn);
    return;
  }
  let cause = causes[status];
  if (status === 'active' && person.showing) cause = 'manual';
  if (status === 'active' && person.toldBeforeLoss) cause = 'restored';
  if (person.appearInactive !== 'no') cause = 'manual';
  if (status === 'active' && cause === 'manual' && !mayTell(turn)) return;
  person.told = status;
  // What was told before the loss is not known, and whoever hides is to be seen with nothing of it.
  if (status === 'inactive' && person.toldBeforeLoss) person.toldDetail = null;
  person.toldBeforeLoss = false;
  person.loggedOut = false;
  if (status === 'inactive') turn.awaySince = person.lastSeen;
  // Of who was away an audience of everyone has no picture.
  else if (Object.keys(detailOf(turn)).length > 0) person.toldDetail = null;
  announce(turn, cause, status === 'active' ? { awaySince: turn.awaySince } : {});
}

/** How long after the other people are told, at least, that somebody is idle or no more, where nothing else is to be told. */
const IDLE_APART_MS = 2000;

/** Whether others would hear that they are idle, or no more or since another time, and of nothing else. */
function isIdleNews(turn: Turn): boolean {
  const { person } = turn;
  const detail = detailOf(turn);
  if (person.appearInactive === 'unknown' || person.toldDetail === null || isSame(detail, person.toldDetail))
    return false;
  return (
    person.told === statusOf(person) && DETAIL_FIELDS.every((field) => detail[field] === person.toldDetail?.[field])
  );
}

function tellDetail(turn: Turn): void {
  const { person, now } = turn;
  if (isSame(detailOf(turn), person.toldDetail)) return;
  if (!isIdleNews(turn)) {
    if (person.toldDetail === null || mayTell(turn)) announce(turn, 'detail');
  } else if (now - (person.idleTold ?? 0) >= IDLE_APART_MS) {
    const { spent } = person;
    announce(turn, 'detail');
    Object.assign(person, { spent, idleTold: now });
  }
}

/** Everything that is told has a version of its own, and carries the detail where that is new to others. */
export function announce(turn: Turn, cause: Cause, more: Pick<Change, 'awaySince'> = {}): void {
  const { person, now, changes } = turn;
  if (OF_CHOICE.has(cause)) {
    const { count, since } = budget(turn);
    person.spent = { count: count + 1, since, last: now };
  }
  person.version = Math.max(now, person.version + 1);
  const { userId, told: status, lastSeen, version } = person;
  const detail = detailOf(turn);
  const isNew = !isSame(detail, person.toldDetail);
  person.toldDetail = detail;
  const said = typeof person.appearInactive === 'object' ? person.sources[0]?.shown : undefined;
  const forInsiders = said ?? (person.toldHidden && !isNew ? detail : undefined);
  person.toldHidden &&= typeof person.appearInactive === 'object';
  const hidden = forInsiders ? { hiddenDetail: forInsiders } : {};
  changes.push({ userId, status, lastSeen, version, at: now, cause, ...(isNew ? { detail } : {}), ...hidden, ...more });
}

function isSame(a: ShownDetail, b: ShownDetail | null): boolean {
  return b !== null && ([...DETAIL_FIELDS, 'idleSince'] as const).every((field) => a[field] === b[field]);
}

const END: Record<Standing, Cause> = {
  live: 'timeout',
  posted: 'timeout',
  lease: 'timeout',
  grace: 'disconnect',
  handover: 'handover',
};

/** What the time that has passed means: choices that are over, sessions that are gone. Everything begins with it. */
export function settle(turn: Turn): void {
  const { person, now, ttlMs, held } = turn;
  if (held) return;
  const choice = person.appearInactive;
  const over = typeof choice === 'object' && choice.until !== null && choice.until <= now ? choice.until : null;
  if (over !== null) endHiding(turn);
  // When the one that is shown is over, what it displaced is shown.
  if (isOver(person.sources[0], now)) person.sources = person.sources.filter((said) => !isOver(said, now));
  for (const session of person.sessions.toSorted((a, b) => deadlineOf(a, ttlMs) - deadlineOf(b, ttlMs))) {
    // Who was gone before their choice was over left unseen.
    if (over === null || deadlineOf(session, ttlMs) > over) heard(person, session.lastBeat);
    if (isLive(session, now, ttlMs)) continue;
    drop(turn, session);
    person.end = END[session.standing];
  }
  // What has just been read from PostgreSQL is told with what happens now.
  if (person.toldBeforeLoss || (person.toldDetail === null && statusOf(person) === person.told)) return;
  tell(turn, { active: over === null ? 'connect' : 'manual', inactive: person.end ?? 'timeout' });
}

function isOver(said: Said | undefined, now: number): boolean {
  return (said?.until ?? Number.POSITIVE_INFINITY) <= now;
}

/** `at`: until when it counted; else until now, or until it was overdue. */
export function drop(turn: Turn, session: Session, at = Math.min(turn.now, deadlineOf(session, turn.ttlMs))): void {
  const { person } = turn;
  if (session.state === 'active') wasActiveUntil(turn, at);
  person.sessions = person.sessions.filter((other) => other !== session);
}

/** Two TTLs, those of its `session` where they are longer, outlive everything that can still be on its way. */
export function refuse({ person, now, ttlMs }: Turn, conn: string, session?: Session): void {
  person.refused.set(conn, now + 2 * Math.max(ttlMs, session?.ttlMs ?? 0));
}

export function isRefused({ person, now }: Turn, conn: string): boolean {
  return (person.refused.get(conn) ?? now) > now;
}

/** Looks at somebody whose time may have come. */
export function expire(person: Person, circumstances: Circumstances): Outcome {
  const turn = begin(person, circumstances);
  settle(turn);
  return finish(turn, 'ok');
}
