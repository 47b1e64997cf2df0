import { idsOf, type Users } from './crowd.ts';
import { paced, pacedWork, Recurring } from './pace.ts';

const OPENS_AT_ONCE = 300;

/** How one deployment opens, refreshes and ends the session of a user, without a socket. */
export interface Door<S> {
  open(userId: string): Promise<S>;
  beat(session: S): void;
  leave(userId: string, session: S): void;
}

/**
 * A web process without its sockets: sessions that are there for the stores and the queues alone, where there are more of
 * them than this machine has room for in connections.
 */
export class Sessions<S> {
  readonly #door: Door<S>;
  readonly #here = new Map<string, S>();
  #beats: Recurring<{ userId: string; session: S }> | undefined;

  constructor(door: Door<S>) {
    this.#door = door;
  }

  async open(users: Users, perSecond: number): Promise<void> {
    const ids = idsOf(users);
    await pacedWork(ids.length, { perSecond, atOnce: OPENS_AT_ONCE }, (n) => this.#open(ids[n] ?? ''));
  }

  /** All of them once, evenly spread over so many ms; returns when that began (ms of the wall clock). */
  async beatOnce(withinMs: number): Promise<number> {
    const from = Date.now();
    const sessions = [...this.#here.values()];
    await paced(sessions.length, (sessions.length * 1000) / withinMs, (n) => {
      const session = sessions[n];
      if (session !== undefined) this.#door.beat(session);
    });
    return from;
  }

  /** Also those who come later. */
  keepBeating(everyMs: number): void {
    this.#beats?.stop();
    this.#beats = new Recurring(everyMs, ({ userId, session }) => {
      if (this.#here.get(userId) !== session) return false;
      this.#door.beat(session);
      return true;
    });
    let n = 0;
    for (const [userId, session] of this.#here) this.#beats.add({ userId, session }, (everyMs * ++n) / this.#here.size);
  }

  stopBeating(): void {
    this.#beats?.stop();
    this.#beats = undefined;
  }

  leave(users: Users, perSecond = 1e9): Promise<void> {
    const ids = idsOf(users);
    return paced(ids.length, perSecond, (n) => this.#leave(ids[n] ?? ''));
  }

  /** They say nothing any more, without a goodbye. */
  fallSilent(users: Users): void {
    for (const userId of idsOf(users)) this.#here.delete(userId);
  }

  /**
   * One after the other comes where they are away and leaves where they are here; so many changes, each user's in order however
   * slow the deployment is. Resolves when all of it has been said.
   */
  async comeAndGo(users: Users, changes: number, perSecond: number): Promise<void> {
    const people = idsOf(users).map((userId) => ({ userId, here: this.#here.has(userId), last: Promise.resolve() }));
    await paced(changes, perSecond, (n) => {
      const one = people[n % people.length];
      if (!one) return;
      one.here = !one.here;
      one.last = one.last.then(one.here ? () => this.#open(one.userId) : () => this.#leave(one.userId));
    });
    await Promise.all(people.map(({ last }) => last));
  }

  async #open(userId: string): Promise<void> {
    const session = await this.#door.open(userId);
    this.#here.set(userId, session);
    this.#beats?.add({ userId, session });
  }

  #leave(userId: string): void {
    const session = this.#here.get(userId);
    this.#here.delete(userId);
    if (session !== undefined) this.#door.leave(userId, session);
  }
}
