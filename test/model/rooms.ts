/** A session in a room; `unclaimed`: the connection before was in it, and this one has not said that it stays. */
interface Own {
  sessionId: string;
  unclaimed: boolean;
  data: string;
}

/** Who said any last stands last. */
interface Stay {
  since: number;
  sessions: Own[];
}

const UNCLAIMED_MS = 2000;

/** The rooms of one user, by the rules that the scripts follow. */
export class RoomsOfPerson {
  readonly rooms = new Map<string, Stay>();
  /** Until when those stay that are unclaimed. */
  #until: number | null = null;
  #wasVisible = true;

  /** In how many rooms a session is. */
  countOf(sessionId: string): number {
    return [...this.rooms.values()].filter(({ sessions }) => sessions.some((own) => own.sessionId === sessionId))
      .length;
  }

  isIn(roomId: string, sessionId: string): boolean {
    return this.rooms.get(roomId)?.sessions.some((own) => own.sessionId === sessionId) ?? false;
  }

  /** The session is there from now on; `data` '' says nothing new. */
  put(roomId: string, sessionId: string, data: string, now: number): void {
    const stay = this.rooms.get(roomId) ?? { since: now, sessions: [] };
    this.rooms.set(roomId, stay);
    const known = stay.sessions.find((own) => own.sessionId === sessionId);
    if (known && data === '') {
      known.unclaimed = false;
      return;
    }
    stay.sessions = stay.sessions.filter((own) => own !== known);
    const own = { sessionId, unclaimed: false, data };
    if (data === '') stay.sessions.unshift(own);
    else stay.sessions.push(own);
  }

  take(roomId: string, sessionId: string): void {
    const stay = this.rooms.get(roomId);
    if (stay) stay.sessions = stay.sessions.filter((own) => own.sessionId !== sessionId);
    this.#drop();
  }

  /** The session is the connection's that came now, in these rooms; null: it names none. */
  claim(sessionId: string, named: readonly { roomId: string; data: string }[] | null, now: number): void {
    for (const { sessions } of this.rooms.values()) {
      for (const own of sessions) {
        if (own.sessionId !== sessionId) continue;
        own.unclaimed = true;
        this.#until = now + UNCLAIMED_MS;
      }
    }
    for (const { roomId, data } of named ?? []) this.put(roomId, sessionId, data, now);
    if (named === null) return;
    for (const stay of this.rooms.values()) {
      stay.sessions = stay.sessions.filter((own) => own.sessionId !== sessionId || !own.unclaimed);
    }
    this.#drop();
  }

  /** What has become of the sessions, of time, and of who may see the user. */
  settle(live: ReadonlySet<string>, isVisible: boolean, now: number): void {
    const isOver = this.#until !== null && this.#until <= now;
    const before = new Set(this.rooms.keys());
    for (const stay of this.rooms.values()) {
      stay.sessions = stay.sessions.filter((own) => live.has(own.sessionId) && !(isOver && own.unclaimed));
    }
    this.#drop();
    if (isOver || this.rooms.size === 0) this.#until = null;
    // Who appeared inactive comes only now.
    if (isVisible && !this.#wasVisible)
      for (const [roomId, stay] of this.rooms) if (before.has(roomId)) stay.since = now;
    this.#wasVisible = isVisible;
  }

  #drop(): void {
    for (const [roomId, { sessions }] of [...this.rooms]) if (sessions.length === 0) this.rooms.delete(roomId);
  }
}
