import { type Circumstances, expire, type Outcome, type Person, stranger } from '../model/person.ts';
import { chooseInactive, close, type Hello, handOver, open, touch } from '../model/scripts.ts';

export const TTL = 60_000;
const START = 1_000_000;

/** Ann, to whom one thing after another happens. Times are milliseconds since the beginning. */
export class Ann {
  person: Person;
  #now = START;
  #held = false;

  constructor(person: Person = stranger('ann')) {
    this.person = person;
  }

  get when(): Circumstances {
    return { now: this.#now, ttlMs: TTL, held: this.#held };
  }

  at(ms: number): this {
    this.#now = START + ms;
    return this;
  }

  /** Whether the store was out of reach a moment ago. */
  held(held: boolean): this {
    this.#held = held;
    return this;
  }

  /** Does something and tells it in short: the code, what others are told, which connections are closed. */
  does<Code extends string>(happening: (person: Person, when: Circumstances) => Outcome<Code>) {
    const { person, code, changes, closed } = happening(this.person, this.when);
    this.person = person;
    return { code, told: changes.map(({ status, cause }) => `${status}: ${cause}`), closed, changes };
  }

  opens(conn: string, hello: Partial<Hello> = {}) {
    const ages = { beatAgeMs: 0, connectedAgeMs: 0, mode: 'connect' as const, maxSessions: 2 };
    const device = { kind: 'web' as const, name: '', state: 'active' as const, ttlMs: null };
    const whole = { sessionId: `c${conn}`, conn, ...device, ...ages, ...hello };
    return this.does((person, when) => open(person, whole, when));
  }

  beats(conn: string, { sessionId = `c${conn}`, ageMs = 0 } = {}) {
    return this.does((person, when) => touch(person, { sessionId, conn, ageMs, state: null }, when));
  }

  closes(conn: string, { sessionId = `c${conn}`, ageMs = 0, graceMs = 0 } = {}) {
    return this.does((person, when) => close(person, { sessionId, conn, ageMs, graceMs }, when));
  }

  /** The web that holds these connections stops; the handover is 15 s. */
  drains(...conns: string[]) {
    const speakers = conns.flatMap((conn) => this.person.sessions.filter((session) => session.conn === conn));
    return this.does((person, when) => handOver(person, { speakers, handoverMs: 15_000 }, when));
  }

  hides(forMs: number | null = null) {
    return this.does((person, when) => chooseInactive(person, forMs, when));
  }

  settles() {
    return this.does(expire);
  }

  get lastSeen(): number | null {
    return this.person.lastSeen === null ? null : this.person.lastSeen - START;
  }
}

/** The wall time of a moment since the beginning. */
export function moment(ms: number): number {
  return START + ms;
}
