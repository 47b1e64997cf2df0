/** What is told within this time can be lost again: a replica takes over that had not heard of it, or a dump from before is loaded. */
const KEPT_MS = 60_000;
/** Of so many users, twice at most: who is told of more than that in a minute forgets earlier. */
const MOST_KEPT = 100_000;

/**
 * Remembers the newest versions that this process told of users lately, by event or picture. Redis may forget a change
 * that was told, and PostgreSQL with it; whoever heard of it drops what is older, so what is true has to be told as
 * something newer.
 */
export class ToldVersions {
  #recent = new Map<string, number>();
  #before = new Map<string, number>();
  #since = 0;

  /**
   * Notes that a version of a user is told at `now` (ms). One from long ago is not worth keeping, for it is not lost
   * any more.
   */
  note(userId: string, version: number, now: number): void {
    if (version <= now - KEPT_MS) return;
    if (now - this.#since >= KEPT_MS || this.#recent.size >= MOST_KEPT) {
      this.#before = this.#recent;
      this.#recent = new Map();
      this.#since = now;
    }
    if (version > (this.of(userId) ?? 0)) this.#recent.set(userId, version);
  }

  /** The version to tell a state with that was read just now: greater than any other state's that was told before. */
  notBefore(userId: string, version: number): number {
    const told = this.of(userId);
    return told === undefined || version >= told ? version : told + 1;
  }

  /** The newest version of a user that was told; undefined where none was lately. */
  of(userId: string): number | undefined {
    const [recent, before] = [this.#recent.get(userId), this.#before.get(userId)];
    return recent === undefined || before === undefined ? (recent ?? before) : Math.max(recent, before);
  }
}
