import type { Cause } from './change.ts';
import { deadlineOf, type Session } from './session.ts';

/** Which rule makes the answer. */
export type Rule = 'heartbeat' | 'manual' | 'timeout' | 'disconnect' | 'logout' | 'handover';

export interface Why {
  rule: Rule;
  sessionId: string | null;
  /** ms; null where nothing is remembered. */
  since: number | null;
  nextChangeAt: number | null;
}

/** As much of a user as the answer depends on; times in ms of the Redis clock. */
export interface Standpoint {
  hiddenUntil: number | null;
  hiddenSince: number | null;
  announced: boolean;
  sessions: Session[];
  cause: Cause | null;
  causeSession: string | null;
  since: number | null;
}

/** The session that was heard of last: it decides for the user. Of two heard in the same millisecond always the same. */
export function freshest(sessions: Session[]): Session | null {
  let best: Session | null = null;
  for (const session of sessions) {
    const later = !best || session.lastBeat > best.lastBeat;
    const same = session.lastBeat === best?.lastBeat && session.sessionId < best.sessionId;
    if (later || same) best = session;
  }
  return best;
}

/** Sessions in the order of what they say for the user: active before idle, then whoever was heard of last. */
export function bestFirst(sessions: Session[]): Session[] {
  const rank = (session: Session) => (session.state === 'active' ? 0 : 1);
  return sessions.toSorted((a, b) => rank(a) - rank(b) || b.lastBeat - a.lastBeat);
}

/** Why a user is active or inactive right now. */
export function explain(user: Standpoint, ttlMs: number): Why {
  if (user.hiddenUntil !== null) {
    const nextChangeAt = user.hiddenUntil < 0 ? null : user.hiddenUntil;
    return { rule: 'manual', sessionId: null, since: user.hiddenSince, nextChangeAt };
  }
  const session = freshest(user.sessions);
  if (session) {
    const nextChangeAt = Math.max(...user.sessions.map((each) => deadlineOf(each, ttlMs)));
    const rule =
      session.standing === 'handover' ? 'handover' : session.standing === 'grace' ? 'disconnect' : 'heartbeat';
    return { rule, sessionId: session.sessionId, since: user.since, nextChangeAt };
  }
  return { rule: ruleOfEnd(user.cause), sessionId: user.causeSession, since: user.since, nextChangeAt: null };
}

/** The rule behind a recorded end; who left while appearing inactive was not heard of again. */
export function ruleOfEnd(cause: Cause | null): Rule {
  return cause === 'disconnect' || cause === 'logout' || cause === 'handover' ? cause : 'timeout';
}
