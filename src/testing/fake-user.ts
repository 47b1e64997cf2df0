import type { Detail } from '../client/index.ts';

/** What a test says of a user; what it leaves out stays as it is. */
export interface FakeUser {
  status?: 'active' | 'inactive' | undefined;
  /** A `Date`, milliseconds since 1970 or what the server would send; null: nobody may know, or nobody ever saw them. */
  lastSeen?: Date | number | string | null | undefined;
  /** All of what they show beside the status; `{}` shows nothing. */
  detail?: Detail | undefined;
  /** Online, and without input since then; false: no more. Over with `inactive`. */
  idle?: boolean | undefined;
  idleSince?: Date | number | string | null | undefined;
}
