/** Who may see somebody in a room: `open` everybody all of it, `everyone` everybody something, else whom PostgreSQL or Redis names. */
export type RoomOpenness = 'open' | 'everyone' | 'closed';

/** How many are in a room: all, those of whom everybody may see all, and those whose visibility is `everyone`. */
export interface RoomCounts {
  all: number;
  open: number;
  everyone: number;
}

/** What others are told of a user in a room. */
export interface RoomPresence {
  /** When the first of the user's sessions there came (ms). */
  since: number;
  /** As it was said (JSON), '' for nothing. */
  data: string;
  idle: boolean;
}

/** A line in a room's list. */
export interface RoomMember extends RoomPresence {
  userId: string;
  openness: RoomOpenness;
}

/** A line as it stands in a room's list; `sequence`: of what it was told by. */
export interface ListedMember extends RoomMember {
  sequence: number;
}

/** Where a user is from now on (`null`: not any more), by room. Of two of one user the greater `sequence` is the newer. */
export interface ToldOfRooms {
  userId: string;
  sequence: number;
  rooms: ReadonlyMap<string, (RoomPresence & { access: string }) | null>;
}

/**
 * `joined`, `changed` and `left` are of a user; with `sight` others may see the user from now on. `count`: the room is told as a
 * count; `full`: it is told in full again. `occupied` and `vacated` are for backends.
 */
export type RoomEvent = 'joined' | 'changed' | 'left' | 'sight' | 'count' | 'full' | 'occupied' | 'vacated';

export interface RoomHappening {
  roomId: string;
  version: number;
  what: RoomEvent;
  counts: RoomCounts;
  /** Of what is of no user: null. */
  member: RoomMember | null;
  /** Who could see the user there until now; null: the user was not there. */
  was: RoomOpenness | null;
}

/** A page of a room's list, the same for as long as nothing changes there. */
export interface RoomPage {
  counts: RoomCounts;
  /** Whether it is told as a count alone. */
  big: boolean;
  members: readonly ListedMember[];
  /** Whether there are more behind these. */
  more: boolean;
  /** All of whom not everybody may see all; of a room above the limit none. */
  closed: readonly string[];
}

/** What a room's list shows at a moment. */
export interface RoomPicture extends RoomPage {
  roomId: string;
  version: number;
  /** Whether it is not known who is there, for Redis has lost something. */
  unsettled: boolean;
}
