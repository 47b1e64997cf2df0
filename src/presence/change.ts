/** What the world may be told about a user. */
export type Status = 'active' | 'inactive';

/** Why a transition happened; written into the history and shown by `include=why`. */
export type Cause =
  | 'connect'
  | 'heartbeat'
  | 'manual'
  | 'timeout'
  | 'disconnect'
  | 'logout'
  | 'handover'
  /** Redis had lost the user, who was there all along: active → active, no transition. */
  | 'restored'
  /** What they show beside the status is another: no transition. */
  | 'detail';

/** What a user lets others see beside the status; with nothing in it: nothing. */
export interface Detail {
  availability?: 'available' | 'busy' | undefined;
  text?: string | undefined;
  emoji?: string | undefined;
}

/** One change of one user as it stands in the outbox. All times are milliseconds of the Redis clock. */
export interface Change {
  userId: string;
  status: Status;
  /** Latest sign of life that others may know; null: nobody ever saw the user. */
  lastSeen: number | null;
  version: number;
  /** When the change was made. */
  at: number;
  cause: Cause;
  /** Where what others may see of it changed, or may have without their being told. */
  detail?: Detail;
}

/** The name and picture that a user's own token carried. */
export interface Claims {
  name?: string;
  picture?: string;
}

/** What PostgreSQL remembers of a user, as far as presence needs it. */
export interface Memory {
  version: number;
  lastSeen: number | null;
  /** The status in the last recorded change. */
  status: Status;
  /** Appear inactive: null when not chosen; `remainingMs` null means until further notice. */
  hidden: { remainingMs: number | null } | null;
  /** `remainingMs` null means until further notice; 0 or less: over, which others may not have been told. */
  detail: { shown: Detail; remainingMs: number | null } | null;
}
