import type { DeviceKind, SessionState } from '../../presence/session.ts';
import type { CloseReason } from '../../protocol/socket.ts';
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
  /** When what it said in rooms was taken, within the last second. */
  roomUpdates: number[];
  /** False once the session is nobody's or another's: nothing it does counts any more. */
  holds: boolean;
  /** Why it was ended from here, once it was. */
  endedWith: CloseReason | null;
  /** Tells the client and closes the transport. */
  end(reason: CloseReason): void;
}
