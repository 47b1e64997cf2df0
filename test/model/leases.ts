import { countsForLimit, isLive, NO_CONNECTION, type Session } from '../../src/presence/session.ts';
import {
  begin,
  type Circumstances,
  finish,
  heard,
  type Outcome,
  type Person,
  settle,
  statusOf,
  tell,
} from './person.ts';

/** What can happen to a lease (see person.ts): a session that no connection holds, and that its holder renews. */

/** null: what it was; at first another kind of device, active. */
export interface LeaseWish {
  sessionId: string;
  name: string;
  ttlMs: number;
  kind: Session['kind'] | null;
  state: Session['state'] | null;
  maxSessions: number;
  ageMs: number;
}

/** A lease is opened, or renewed with whatever else is said of it. */
export function putLease(before: Person, wish: LeaseWish, circumstances: Circumstances): Outcome<'ok' | 'full'> {
  const turn = begin(before, circumstances);
  settle(turn);
  const { person, now } = turn;
  const previous = person.sessions.find(({ sessionId }) => sessionId === wish.sessionId);
  const others = person.sessions.filter((session) => session !== previous);
  const code = previous || others.filter(countsForLimit).length < wish.maxSessions ? 'ok' : 'full';
  if (code === 'ok') {
    const { sessionId, name, ttlMs } = wish;
    const said = now - wish.ageMs;
    const lastBeat = Math.max(said, previous?.lastBeat ?? 0);
    const kind = wish.kind ?? previous?.kind ?? 'other';
    const state = wish.state ?? previous?.state ?? 'active';
    const times = { connectedAt: previous?.connectedAt ?? said, lastBeat, deadline: null };
    const lease = { sessionId, conn: NO_CONNECTION, standing: 'lease' as const, kind, name, state, ttlMs, ...times };
    person.sessions = [...others, lease];
    heard(person, lastBeat);
  }
  if (code === 'ok' || person.toldBeforeLoss || statusOf(person) === 'active') {
    tell(turn, { active: 'connect', inactive: 'timeout' });
  }
  return finish(turn, code);
}

/** A lease is renewed where it is there, as it is. */
export function renewLease(
  before: Person,
  { sessionId, ageMs }: { sessionId: string; ageMs: number },
  circumstances: Circumstances,
): Outcome<'ok' | 'missing'> {
  const turn = begin(before, circumstances);
  const { person, now, ttlMs } = turn;
  const find = () => person.sessions.find((session) => session.sessionId === sessionId);
  const first = find();
  const active = person.told === 'active' && statusOf(person) === 'active';
  if (!(first && active && isLive(first, now, ttlMs))) settle(turn);
  const lease = find();
  if (lease?.standing !== 'lease') return finish(turn, 'missing');
  lease.lastBeat = Math.max(lease.lastBeat, now - ageMs);
  heard(person, lease.lastBeat);
  tell(turn, { active: 'heartbeat', inactive: 'heartbeat' });
  return finish(turn, 'ok');
}
