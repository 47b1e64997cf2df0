import type { Claims } from '../presence/change.ts';
import type { SessionView, StatusAnswer } from '../protocol/http.ts';
import type { SetStatusRequest, StatusPayload } from '../protocol/vocabulary.ts';
import type { Caller } from './auth.ts';

/** What `include` adds to a status. */
export type Look = Required<Pick<StatusAnswer, 'devices' | 'detail' | 'why'>>;

export interface Choice {
  status: SetStatusRequest['status'];
  /** null: until further notice. */
  expiresInMs: number | null;
}

/** What the doors ask about people. Whether the caller may ask has been settled by then; see rights.ts. */
export interface PresenceApi {
  /** As the viewer may know it. Throws USER_NOT_FOUND or UNAVAILABLE. */
  status(viewer: Caller, userId: string): Promise<StatusPayload>;
  /** In the order asked, unknown ids included. Throws UNAVAILABLE. */
  statuses(viewer: Caller, userIds: string[]): Promise<StatusPayload[]>;
  /** Throws USER_NOT_FOUND. */
  look(userId: string): Promise<Look>;
  setStatus(userId: string, choice: Choice, claims: Claims | null): Promise<StatusPayload>;
  /** Ends one session, or all where none is named. Throws SESSION_NOT_FOUND or USER_NOT_FOUND. */
  logOut(userId: string, sessionId: string | null): Promise<void>;
  /** Throws USER_NOT_FOUND. */
  sessions(userId: string): Promise<SessionView[]>;
  /** Throws SESSION_NOT_FOUND. */
  removeSession(userId: string, sessionId: string): Promise<void>;
}
