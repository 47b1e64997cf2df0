import { compareIds } from '../../redis/delivery.ts';
import type { Viewer } from './types.ts';

/** Changes up to a position of the outbox that a snapshot already showed: they are not told to its viewer any more. */
export interface SnapshotFloor {
  /** null: all sockets of this process. */
  viewer: Viewer | null;
  userIds: Set<string>;
  position: string;
}

/** Keeps from where on events count for whom, by shard: behind the snapshot that they have been shown. */
export class SnapshotFloors {
  readonly #byShard = new Map<number, SnapshotFloor[]>();

  /** Notes that a snapshot was shown. */
  add(shard: number, floor: SnapshotFloor): void {
    const floors = this.#byShard.get(shard);
    if (floors) floors.push(floor);
    else this.#byShard.set(shard, [floor]);
  }

  /** Forgets what a viewer was shown of these users: another snapshot decides for them from now on. */
  lift(shard: number, viewer: Viewer, userIds: Iterable<string>): void {
    for (const floor of this.#byShard.get(shard) ?? []) {
      if (floor.viewer === viewer) for (const userId of userIds) floor.userIds.delete(userId);
    }
  }

  /** Who has seen this change in a snapshot: everybody of this process, or these viewers. */
  sawIt(shard: number, id: string, userId: string): 'everybody' | Viewer[] {
    const viewers: Viewer[] = [];
    for (const floor of this.#byShard.get(shard) ?? []) {
      if (compareIds(id, floor.position) > 0 || !floor.userIds.has(userId)) continue;
      if (floor.viewer === null) return 'everybody';
      viewers.push(floor.viewer);
    }
    return viewers;
  }

  /** Forgets floors up to a position of the shard, for everything up to it has been told. */
  pass(shard: number, position: string): void {
    const floors = this.#byShard.get(shard)?.filter((floor) => compareIds(floor.position, position) > 0) ?? [];
    if (floors.length > 0) this.#byShard.set(shard, floors);
    else this.#byShard.delete(shard);
  }
}
