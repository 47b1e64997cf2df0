import type { ClientSays } from '../../protocol/client-events.ts';
import { compareIds } from '../../redis/delivery.ts';
import type { Picture, Told, Viewer } from './types.ts';
import { isInsider, type Wording } from './wording.ts';

/**
 * Keeps the pictures that are being read: what is told meanwhile is held back for them, and told behind them where it
 * is newer.
 */
export class Pictures {
  readonly #open = new Set<Picture>();

  /** Holds back for this picture from now on. */
  begin(picture: Picture): void {
    this.#open.add(picture);
  }

  /** Holds back for this picture no more. */
  end(picture: Picture): void {
    this.#open.delete(picture);
  }

  /** Drops the pictures of a viewer that is gone, or is not let in. */
  drop(viewer: Viewer): void {
    for (const picture of this.#open) if (picture.viewer === viewer) this.#open.delete(picture);
  }

  /** Takes users out of the pictures of a viewer. */
  unwatch(viewer: Viewer, userIds: readonly string[]): void {
    for (const picture of this.#of(viewer)) for (const userId of userIds) picture.userIds?.delete(userId);
  }

  /** The ids of those whom the viewer has asked to watch and has not been shown yet. */
  askedFor(viewer: Viewer): string[] {
    return this.#of(viewer).flatMap((picture) => [...(picture.userIds ?? [])]);
  }

  /** The viewers that are about to be shown a picture of the user. */
  viewersOf(userId: string): Viewer[] {
    return [...this.#open]
      .filter((picture) => !picture.userIds || picture.userIds.has(userId))
      .map((picture) => picture.viewer);
  }

  /** Keeps a change for those who are about to be shown a picture of the user, and returns who they are. */
  hold(item: Told, wording: Wording | null): Viewer[] {
    // One for all pictures of a viewer: that is how a change is told once although several of them hold it.
    const held = new Map<Viewer, Told | null>();
    for (const picture of this.#open) {
      const { viewer, userIds } = picture;
      if (userIds && !userIds.has(item.change.userId)) continue;
      if (!held.has(viewer)) {
        const heard = isInsider(viewer, item.change.userId) ? item.insider : item.change;
        const change = wording ? wording(viewer) : heard;
        held.set(viewer, change && { ...item, change });
      }
      const own = held.get(viewer);
      if (own) picture.held.push(own);
    }
    return [...held.keys()];
  }

  /**
   * Changes that were held back for a picture and are newer than it; those that another picture of the viewer holds too
   * are for that one to tell.
   */
  newerThan({ viewer, held, covered, snapshot }: Picture): Told[] {
    const others = this.#of(viewer);
    return held.filter((item) => {
      if (others.some((other) => other.held.includes(item))) return false;
      const isInIt = compareIds(item.id, snapshot.positions.get(item.shard) ?? '0-0') <= 0;
      return !isInIt || !covered.has(item.change.userId);
    });
  }

  #of(viewer: Viewer): Picture[] {
    return [...this.#open].filter((picture) => picture.viewer === viewer);
  }
}

/** A picture as `watch` answers with it. */
export function answerOf({ snapshot }: Picture): ClientSays<'watch'> {
  return snapshot.pending.length > 0 ? { users: snapshot.users, pending: snapshot.pending } : { users: snapshot.users };
}
