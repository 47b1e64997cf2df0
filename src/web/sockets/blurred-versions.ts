import type { Viewer } from './types.ts';

/** Of so many users a connection's versions go on from what it was told before; the first are forgotten first. */
const MOST_KEPT = 1000;

/**
 * Versions for those who may not know when a user was last seen: a count of this process instead of a moment. On one connection
 * they grow like others do, for a connection that was told moments before is told the count from there on.
 */
export class BlurredVersions {
  #count = 0;
  readonly #from = new WeakMap<Viewer, Map<string, number>>();

  /** The next of the count: one for each change, whoever is told of it. */
  next(): number {
    return ++this.#count;
  }

  /** Has the versions of a user that this viewer is told go on from `version`, which stands for this one of the count. */
  goOnFrom(viewer: Viewer, userId: string, version: number, count: number): void {
    this.#keep(viewer, userId, version - count);
  }

  /** The viewer was told nothing of the user with a moment, or is told counts by now: so it goes on. */
  noteCounting(viewer: Viewer, userId: string): void {
    if (!this.isCounting(viewer, userId)) this.#keep(viewer, userId, 0);
  }

  /** Whether the newest that this viewer was told of the user is known to be no moment. */
  isCounting(viewer: Viewer, userId: string): boolean {
    return this.#from.get(viewer)?.has(userId) ?? false;
  }

  /** The viewer is told of the user with moments from now on. */
  noteMoment(viewer: Viewer, userId: string): void {
    this.#from.get(viewer)?.delete(userId);
  }

  #keep(viewer: Viewer, userId: string, base: number): void {
    const from = this.#from.get(viewer) ?? new Map<string, number>();
    from.delete(userId);
    from.set(userId, base);
    const [first] = from.keys();
    if (from.size > MOST_KEPT && first !== undefined) from.delete(first);
    this.#from.set(viewer, from);
  }

  /** The version that this viewer is told for one of the count. */
  of(viewer: Viewer, userId: string, count: number): number {
    return (this.#from.get(viewer)?.get(userId) ?? 0) + count;
  }
}
