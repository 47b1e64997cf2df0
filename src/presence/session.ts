export type DeviceKind = 'web' | 'mobile' | 'desktop' | 'other';
export type SessionState = 'active' | 'idle';

/** live: a connection holds it; posted: made by a POST; grace: closed, may still come back; handover: its web drained. */
export type Standing = 'live' | 'posted' | 'grace' | 'handover';

/** The `conn` of a session that no connection holds. */
export const NO_CONNECTION = '-';

/** One device (or one connection, where the client named no device) of a user. Times in ms of the Redis clock. */
export interface Session {
  sessionId: string;
  /** The connection that owns it, or NO_CONNECTION. Whoever comes with another one is refused. */
  conn: string;
  standing: Standing;
  kind: DeviceKind;
  name: string;
  state: SessionState;
  connectedAt: number;
  lastBeat: number;
  /** Set where the deadline does not follow from the last sign of life. */
  deadline: number | null;
}

/**
 * The moment (ms of Redis's clock) at which the session is gone unless something is heard of it. `ttlMs`: life of a
 * heartbeat.
 */
export function deadlineOf(session: Session, ttlMs: number): number {
  return session.deadline ?? session.lastBeat + ttlMs;
}

/** Whether the session's deadline lies behind `now` (ms of Redis's clock). `ttlMs`: life of a heartbeat. */
export function isLive(session: Session, now: number, ttlMs: number): boolean {
  return deadlineOf(session, ttlMs) > now;
}

/** Whether a session counts for MAX_SESSIONS_PER_USER: where a connection holds it. */
export function countsForLimit(session: Session): boolean {
  return session.standing === 'live';
}

/** Whether a client may come back for the session: where it named a device, as the first letter of the id tells. */
export function canReturn(sessionId: string): boolean {
  return sessionId.startsWith('d');
}
