/** What somebody is there by, as they say. */
export const DEVICE_KINDS = ['web', 'mobile', 'desktop', 'agent', 'bot', 'device', 'other'] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];
export type SessionState = 'active' | 'idle';

/**
 * live: a connection holds it; posted: made by a POST; lease: put by a program that renews it; grace: closed, may still come back;
 * handover: its web drained.
 */
export type Standing = 'live' | 'posted' | 'lease' | 'grace' | 'handover';

/** The `conn` of a session that no connection holds. */
export const NO_CONNECTION = '-';

/** One device (or one connection, where the client named no device) or lease of a user. Times in ms of the Redis clock. */
export interface Session {
  sessionId: string;
  /** The connection that owns it, or NO_CONNECTION. Whoever comes with another one is refused. */
  conn: string;
  standing: Standing;
  kind: DeviceKind;
  name: string;
  state: SessionState;
  /** For how long (ms) a sign of life of this session holds; null: as long as is configured. */
  ttlMs: number | null;
  connectedAt: number;
  lastBeat: number;
  /** Set where the deadline does not follow from the last sign of life. */
  deadline: number | null;
}

/**
 * The moment (ms of Redis's clock) at which the session is gone unless something is heard of it. `ttlMs`: life of a heartbeat where
 * the session has none of its own.
 */
export function deadlineOf(session: Session, ttlMs: number): number {
  return session.deadline ?? session.lastBeat + (session.ttlMs ?? ttlMs);
}

/** Whether the session's deadline lies behind `now` (ms of Redis's clock). `ttlMs`: as for `deadlineOf`. */
export function isLive(session: Session, now: number, ttlMs: number): boolean {
  return deadlineOf(session, ttlMs) > now;
}

/** Whether a session counts for MAX_SESSIONS_PER_USER: where a connection holds it, and leases. */
export function countsForLimit(session: Session): boolean {
  return session.standing === 'live' || session.standing === 'lease';
}

/** Whether a client may come back for the session: where it named a device, as the first letter of the id tells. */
export function canReturn(sessionId: string): boolean {
  return sessionId.startsWith('d');
}
