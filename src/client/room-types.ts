/** What an application sees of rooms; written out as in `types.ts`. */
import type { PresenceClient } from './presence-client.ts';
import type { PresenceError } from './presence-error.ts';
import type { Observable } from './types.ts';

/** Somebody who is in a room, as the signed-in user may know it. The object stays the same for as long as nothing in it changes. */
export interface RoomUser {
  readonly userId: string;
  /** When the first of their sessions came, ISO-8601, UTC. Absent where the signed-in user may not know their last seen. */
  readonly since?: string | undefined;
  /** What they said of themselves last. */
  readonly data: Readonly<Record<string, unknown>> | null;
  /** Nothing was done for a while on any of their devices. */
  readonly idle?: true | undefined;
}

/** What somebody says of themselves in a room: any JSON object of at most 1,024 bytes. */
export type RoomData = Readonly<Record<string, unknown>>;

/** A room as the signed-in user may know it. The object stays the same until something in it changes. */
export interface RoomView {
  readonly roomId: string;
  /** Who is there, who came first before who came later. Of a room with more than a hundred the first hundred by id, whoever has come since, and the signed-in user; none of a room so large that the server tells its count alone. */
  readonly users: readonly RoomUser[];
  /** How many are there. Undefined until the server has said. */
  readonly count: number | undefined;
  /** The signed-in user as the others there see them. Undefined while they are not there, and while they appear inactive. `since` may be missing of a room with more than a hundred. In one so large that its count alone is told it is what was said here. */
  readonly me: RoomUser | undefined;
  /** Why the server will not have us there: its code, or `KICKED`. */
  readonly error: PresenceError | undefined;
}

/** A room that somebody here is in. */
export interface Room extends Observable<RoomView> {
  /** Replaces what the others there see of us. Call it as often as you like: the newest is sent, eight times a second at most. */
  update(data: RoomData): void;
  /** When the last who holds the room here lets go, this session leaves it. */
  leave(): void;
}

/** A room that is looked at from outside. */
export interface WatchedRoom extends Observable<RoomView> {
  unwatch(): void;
}

/** A client with rooms. */
export interface RoomsClient extends PresenceClient {
  /** Comes to a room and stays there, over reconnects too, until `leave()`. Two who ask for one room share it; the `data` given last is shown. */
  room(roomId: string, options?: { data?: RoomData | undefined }): Room;
  /** Is told of a room without being there. */
  watchRoom(roomId: string): WatchedRoom;
}
