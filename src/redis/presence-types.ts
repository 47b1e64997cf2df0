import type { Claims, ShownDetail, Status, StoredUser } from '../presence/change.ts';
import type { FollowUp } from '../presence/follow-up.ts';
import type { DeviceKind, SessionState } from '../presence/session.ts';
import type { Access } from '../presence/visibility.ts';

/** What PostgreSQL knows of a user for whom Redis has no record: the stored user, nothing (a new one), or it could not be asked. */
export type Stored = StoredUser | 'new' | 'away';

export interface OpenRequest {
  userId: string;
  sessionId: string;
  conn: string;
  /** null: of a lease, what it was; so with `state`. */
  kind: DeviceKind | null;
  name: string;
  state: SessionState | null;
  /** The session's own TTL (ms); null or left out: the configured one. */
  ttlMs?: number | null;
  /** How long ago the sign of life was, and the connection was made. */
  beatAgeMs: number;
  connectedAgeMs: number;
  maxSessions: number;
  mode: 'connect' | 'restore' | 'lease';
  claims: Claims | null;
  /** The rooms it is in from now on, with what it says of itself there (JSON or ''); absent: it names none. */
  rooms?: readonly { roomId: string; data: string }[] | undefined;
  /** Whether they ask to appear inactive from the first moment; `saved`: and PostgreSQL has it. */
  appear?: 'ask' | 'saved' | undefined;
}

/** What came of opening a session. `endsAt`: when it is over unless something is heard of it (ms of Redis's clock). */
export interface Opened<Code extends OpenCode = OpenCode> {
  code: Code;
  version: number;
  endsAt: number;
  /** Of the session; null where there is none. */
  state: SessionState | null;
  /** Whether they appear inactive. */
  hidden: { remainingMs: number | null } | null;
}

/** Why a connection is refused from now on. */
export type Ended = 'replaced' | 'logout';

/** ok; `stored`: ask PostgreSQL and call again; `hide`: have it keep the choice and call again; `full`: too many sessions; `crowded`: too
 * many rooms; `stale`: too old to restore; or ended. */
export type OpenCode = 'ok' | 'stored' | 'hide' | 'full' | 'crowded' | 'stale' | Ended;

export interface Beat {
  userId: string;
  sessionId: string;
  conn: string;
  ageMs: number;
  /** Only where it differs from what was said before. */
  state: SessionState | null;
  /** It was kept while Redis was away: more may follow from it, and there is no time to find that out first. */
  kept?: boolean;
}

export interface StatusReply {
  userId: string;
  status: Status;
  /** ms or null */
  lastSeen: number | null;
  /** null: Redis has no record, PostgreSQL knows. */
  version: number | null;
  /** false: Redis never heard of the user, or cannot know the answer while PostgreSQL is away (`choiceUnknown`). */
  known: boolean;
  choiceUnknown: boolean;
  /** What others may see of it, where Redis has a record. */
  detail: ShownDetail | null;
  /**
   * How much of this the viewer that was named may see; `unknown`: PostgreSQL has to be asked, and nothing is shown until
   * then. The rest is the truth all the same.
   */
  access: Access | 'unknown';
  /** Not everybody sees the same. */
  restricted: boolean;
}

export interface Chosen {
  code: 'ok' | 'stored' | 'clear';
  status: Status;
  lastSeen: number | null;
  version: number;
  followUp: FollowUp;
}

export interface SignedOut {
  /** False: there is no such session. */
  found: boolean;
  /** The connections that it ended, with blanks between. */
  conns: string;
  followUp: FollowUp;
}
