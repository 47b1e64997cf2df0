import type { Claims } from '../presence/change.ts';
import type { DetailSource, PutDetailBody } from '../protocol/detail.ts';
import type { Extra, SessionView, StatusAnswer } from '../protocol/http.ts';
import type { Reached, ReachRequest } from '../protocol/reach.ts';
import type { SetStatusRequest, StatusPayload } from '../protocol/vocabulary.ts';

export interface Choice {
  status: SetStatusRequest['status'];
  /** null: until further notice. */
  expiresInMs: number | null;
}

/**
 * For how long (ms) a choice holds; null: until further notice. Only appearing inactive ends by itself; a fraction of a
 * millisecond still is a time.
 */
export function expiryMs(status: SetStatusRequest['status'], seconds: number | undefined): number | null {
  return status === 'active' || seconds === undefined ? null : Math.max(1, Math.round(seconds * 1000));
}

/**
 * What the doors ask about people. Whether the caller may ask has been settled by then; see rights.ts. A viewer of null
 * sees everything.
 */
export interface StatusApi {
  /** The status of a user as the viewer may know it, with these keys added. Throws USER_NOT_FOUND or UNAVAILABLE. */
  status(viewerId: string | null, userId: string, extras?: ReadonlySet<Extra>): Promise<StatusAnswer>;
  /**
   * The statuses of users as the viewer may know them, with these keys added, in the order asked, unknown ids included. Throws
   * UNAVAILABLE.
   */
  statuses(viewerId: string | null, userIds: string[], extras?: ReadonlySet<Extra>): Promise<StatusAnswer[]>;
  /** The sessions that the user has at present. Throws USER_NOT_FOUND or UNAVAILABLE. */
  sessions(userId: string): Promise<SessionView[]>;
}

/** What the doors do for what others see of people beside the status. Whether the caller may has been settled by then. */
export interface DetailApi {
  /** One source says something of a user from now on. Returns what is stored. Throws TOO_MANY_SOURCES or UNAVAILABLE. */
  put(userId: string, source: string, body: PutDetailBody): Promise<DetailSource>;
  /**
   * One source says nothing any more; it may have said nothing. `by`: the service that ended it, for the audit; null: the user.
   * Throws UNAVAILABLE.
   */
  end(userId: string, source: string, by: string | null): Promise<void>;
  /** All sources in force, the strongest first; none of whom nobody knows. Throws UNAVAILABLE. */
  list(userId: string): Promise<DetailSource[]>;
}

/** What the door asks about how people are reached. */
export interface ReachApi {
  /** How each of these users is reached, in the order asked. Throws UNAVAILABLE where that is not known of one of them. */
  reach(request: ReachRequest): Promise<Reached[]>;
}

/** What the doors do for people, beside `reads`. Whether the caller may has been settled by then; see rights.ts. */
export interface PresenceApi {
  readonly reads: StatusApi;
  readonly details: DetailApi;
  readonly decisions: ReachApi;
  /**
   * Sets what the user chose, and answers with the status that comes of it. `claims`: what the token says of who the
   * user is. Throws UNAVAILABLE.
   */
  setStatus(userId: string, choice: Choice, claims: Claims | null): Promise<StatusPayload>;
  /**
   * Ends one session, or all where none is named. `by`: the service that does it, for the audit; null: the user itself. Throws
   * SESSION_NOT_FOUND, USER_NOT_FOUND or UNAVAILABLE.
   */
  logOut(userId: string, sessionId: string | null, by: string | null): Promise<void>;
}
