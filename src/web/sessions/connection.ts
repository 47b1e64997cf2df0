import type { Claims } from '../../presence/change.ts';
import type { DeviceKind, SessionState } from '../../presence/session.ts';
import type { CloseReason } from '../../protocol/socket.ts';
import { shardOf } from '../../redis/keys.ts';
import type { OpenRequest } from '../../redis/presence-types.ts';
import type { SessionTimes } from './session-times.ts';

/** A user's connection to this process, and the session it holds. Ages are measured on this process's monotonic clock. */
export interface Connection {
  readonly userId: string;
  readonly sessionId: string;
  readonly conn: string;
  readonly shard: number;
  readonly kind: DeviceKind;
  readonly name: string;
  readonly times: SessionTimes;
  readonly openedAt: number;
  lastBeat: number;
  /** The beat whose deadline somebody is going to look at. */
  lookedAfter: number;
  state: SessionState;
  /** The rooms it is in: since when its user is there (ms), and what it said of itself there (JSON, '' nothing); null: none yet. */
  rooms: Map<string, { since: number; data: string }> | null;
  /** How many of its joins and leaves are on their way. */
  roomsBusy: number;
  /** When what it said in rooms was taken, within the last second. */
  roomUpdates: number[];
  /** They chose to appear inactive by connecting. */
  cameHidden: boolean;
  /** False once the session is nobody's or another's: nothing it does counts any more. */
  holds: boolean;
  /** Why it was ended from here, once it was. */
  endedWith: CloseReason | null;
  /** Tells the client and closes the transport. */
  end(reason: CloseReason): void;
}

/** Who comes with which device. */
export interface ConnectionRequest {
  userId: string;
  sessionId: string;
  kind: DeviceKind;
  name: string;
  /** Left out: the configured ones. */
  times?: SessionTimes | undefined;
  claims: Claims;
  /** `ask`: they are to appear inactive from the first moment. */
  appear?: OpenRequest['appear'];
  /** The rooms it is in from now on, with what it says of itself there (JSON or ''); absent: it names none. */
  rooms?: OpenRequest['rooms'];
  end(reason: CloseReason): void;
}

/** What is said of a connection where its session is opened or restored, as of now. */
export function openRequestOf(connection: Connection, configured: SessionTimes, maxSessions: number) {
  const { userId, sessionId, conn, kind, name, state, times } = connection;
  const ttlMs = times.ttlMs === configured.ttlMs ? null : times.ttlMs;
  const now = performance.now();
  const ages = { beatAgeMs: now - connection.lastBeat, connectedAgeMs: now - connection.openedAt };
  return { userId, sessionId, conn, kind, name, state, ttlMs, ...ages, maxSessions };
}

/** A connection that has just been made, whose session is still to be opened. */
export function connectionOf(request: ConnectionRequest, configured: SessionTimes, conn: string): Connection {
  const now = performance.now();
  const { userId, sessionId, kind, name, times = configured, end } = request;
  const shard = shardOf(userId);
  const heard = { openedAt: now, lastBeat: now, lookedAfter: 0, state: 'active' } as const;
  return {
    userId,
    sessionId,
    conn,
    shard,
    kind,
    name,
    times,
    ...heard,
    rooms: null,
    roomsBusy: 0,
    roomUpdates: [],
    cameHidden: false,
    holds: true,
    endedWith: null,
    end,
  };
}
