import type { StatusReads } from '../../usecases/status-reads.ts';
import type { Connections } from '../sessions/connections.ts';
import type { ConversationRooms } from './conversation-rooms.ts';
import type { RoomMembers } from './room-members.ts';
import type { Rooms } from './rooms.ts';

/** What the audience of a process works with. */
export interface AudienceDeps {
  rooms: Rooms;
  reads: StatusReads;
  connections: Connections;
  conversationRooms: ConversationRooms;
  roomMembers: RoomMembers;
  everyone: boolean;
  maxWatched: number;
  /** Up to which outbox entry of a shard everything has been handed to `onBatch`. */
  delivered(shard: number): string;
  /** All users who may be active, page by page; some may come twice. */
  everybody(): AsyncIterable<string[]>;
  /** Something was missed: a resync is due. */
  missed(): void;
  /** The clock of Redis (ms), as far as this process knows. */
  now(): number;
}
