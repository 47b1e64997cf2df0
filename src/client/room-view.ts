import type { RoomChange } from '../protocol/rooms.ts';
import type { createSignal } from './observable.ts';
import type { PresenceError } from './presence-error.ts';
import { inOrder, type KnownRoom } from './room-state.ts';
import type { RoomData, RoomView } from './room-types.ts';

/** A room that somebody here wants to be in or to be told of, and what the server has been told of that on this connection. */
export interface OpenRoom {
  readonly roomId: string;
  readonly changed: ReturnType<typeof createSignal<void>>;
  readonly holders: Set<object>;
  readonly watchers: Set<object>;
  data: RoomData | undefined;
  /** The data that the server was told last, as JSON. */
  said: string | undefined;
  isThere: boolean;
  isWatched: boolean;
  /** We are there, and were told that we left: we appear inactive. */
  isHidden: boolean;
  /** A picture has come on this connection. What comes before it is held back. */
  isFresh: boolean;
  held: RoomChange[];
  /** The connection on which something is asked for the room. */
  asking: number | undefined;
  known: KnownRoom | undefined;
  /** Refused, and not to be asked for again on this connection. */
  error: PresenceError | undefined;
  /** The code that was reported last. */
  refusal: string | undefined;
  view: RoomView | undefined;
  viewer?: string | undefined;
}

const NOBODY: RoomView['users'] = Object.freeze([]);

/** A room as the application sees it, with the signed-in user apart. */
export function roomView({ roomId, known, error, data, isThere }: OpenRoom, userId: string | undefined): RoomView {
  if (!known) return { roomId, users: NOBODY, count: undefined, me: undefined, error };
  const { count, isCounted } = known;
  const mine = known.users.get(userId ?? '');
  if (!isCounted) return { roomId, users: inOrder(known), count, me: mine, error };
  // Nobody is told of anybody there, so it is what we said.
  return {
    roomId,
    users: NOBODY,
    count,
    me: mine && isThere ? { ...mine, data: data ?? mine.data } : undefined,
    error,
  };
}
