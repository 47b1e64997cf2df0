import type { Change } from '../../presence/change.ts';
import type { ConversationRooms } from './conversation-rooms.ts';
import type { Pictures } from './pictures.ts';
import type { Rooms } from './rooms.ts';
import { onlyConcerned } from './wording.ts';

/** Who of this process's viewers hears of whom: those whose sight has to be known before anything is told. */
export class Concerned {
  readonly #rooms: Rooms;
  readonly #conversationRooms: ConversationRooms;
  readonly #pictures: Pictures;

  constructor(rooms: Rooms, conversationRooms: ConversationRooms, pictures: Pictures) {
    this.#rooms = rooms;
    this.#conversationRooms = conversationRooms;
    this.#pictures = pictures;
  }

  /** Everybody who is about to be told of these users, or shown a picture of them. */
  viewersOf(userIds: Iterable<string>): Map<string, Set<string>> {
    const found = new Map<string, Set<string>>();
    for (const userId of userIds) {
      const viewers = [...this.#rooms.viewersOf(userId), ...this.#pictures.viewersOf(userId)];
      found.set(userId, new Set(viewers.flatMap((viewer) => viewer.userId ?? [])));
    }
    return found;
  }

  /** Who is to be told of these changes, in conversations as well, or is shown a picture of the user. */
  by(changes: readonly Change[]): Map<string, Set<string>> {
    const wanted = this.viewersOf(changes.map((change) => change.userId));
    for (const { userId } of changes) {
      for (const viewerId of this.#conversationRooms.listenersTo(userId)) wanted.get(userId)?.add(viewerId);
    }
    for (const [userId, concerned] of onlyConcerned(changes)) {
      wanted.set(userId, wanted.get(userId)?.intersection(concerned) ?? new Set());
    }
    return wanted;
  }
}
