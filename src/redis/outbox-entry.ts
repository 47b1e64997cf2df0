import type { Cause, Change, Claims } from '../presence/change.ts';
import type { TraceContext } from '../telemetry/tracing.ts';
import type { IndicatorKind } from './indicators.ts';
import type { RoomHappening, ToldOfRooms } from './room-types.ts';

/** One entry of a shard's outbox: a change to tell, connections to close, a note for PostgreSQL alone, or something that passes. */
export type OutboxEntry = { id: string; trace?: TraceContext } & (
  | {
      kind: 'change';
      change: Change;
      claims: Claims | null;
      /** Where somebody is back on the same device so soon that they had better not been told away: by what they were. */
      falselyAway: Cause | null;
      /** Where a deadline had passed: how long ago (ms). */
      lateMs: number | null;
    }
  | { kind: 'close'; userId: string; conns: string[]; reason: 'replaced' | 'logout' }
  | { kind: 'note'; userId: string; clearsHidden: boolean; change: Change; claims: Claims | null }
  | { kind: 'indicator'; conversationId: string; userId: string; doing: IndicatorKind; active: boolean }
  | { kind: 'expelled'; conversationId: string; userId: string }
  /** `askerId` is to hear that the user became active, at that moment (ms). */
  | { kind: 'alert'; askerId: string; userId: string; at: number }
  /** What is true of the rooms of a user from now on; their lists follow it. */
  | ({ kind: 'rooms' } & ToldOfRooms)
  /** What has happened in a room, as its list has it. `sequence`: of what was told of the user that its list had by then; null: nothing is said of that. */
  | ({ kind: 'room'; sequence: number | null } & RoomHappening)
  /** Connections of a user that are not in the room any more, by somebody else's doing at that moment (ms). */
  | { kind: 'put_out'; roomId: string; userId: string; conns: string[]; at: number }
  /** Dropped by the cap before it was read. */
  | { kind: 'dropped' }
);

const OF_CHANGE = ['kind', 'user', 'active', 'lastSeen', 'version', 'cause', 'since', 'more'] as const;
const OF_INDICATOR = ['kind', 'user', 'conversation', 'active'] as const;

/**
 * The fields of an entry by its kind, in the order in which the scripts write them, for Redis keeps the names once for entries
 * that follow each other with the same; behind `user` comes a `trace` where there is one. What they say stands in
 * docs/architecture.md. What few entries have belongs into `more`: one with a field more than its neighbours keeps all its names.
 */
export const ENTRY_FIELDS = {
  change: OF_CHANGE,
  restricted: OF_CHANGE,
  note: OF_CHANGE,
  close: ['kind', 'user', 'conns', 'reason'],
  typing: OF_INDICATOR,
  recording_audio: OF_INDICATOR,
  expelled: ['kind', 'user', 'conversation'],
  alert: ['kind', 'user', 'asker', 'at'],
  rooms: ['kind', 'user', 'sequence', 'rooms'],
  put_out: ['kind', 'user', 'room', 'conns', 'at'],
  room: ['kind', 'user', 'room', 'what', 'version', 'counts', 'since', 'access', 'was', 'idle', 'data', 'sequence'],
} as const;
