import { rest, tokenFor } from '../../support/client.ts';
import { within } from './device.ts';
import type { Member } from './member.ts';
import type { Span } from './spans.ts';

/** Who says something of people beside the status: the strongest first, as the contract has it; the last one it does not name. */
export const SOURCES = ['call', 'manual', 'calendar', 'elsewhere'] as const;
type Source = (typeof SOURCES)[number];

/** `open`: not answered yet; `unknown`: answered by nobody, or with an outage, so it may have been heard. */
type Fate = 'open' | 'sure' | 'unknown' | 'refused';

/** A source says something, or (`text` null) nothing any more; `from` asked, `to` answered. */
export interface Saying extends Span {
  source: Source;
  /** No two say the same. */
  text: string | null;
  /** When it ends by itself (ms since 1970); null: it does not; undefined: not before it is answered. */
  until: number | null | undefined;
  fate: Fate;
}

const PATIENCE_MS = 3000;
/** What of a request may reach a store after the connection it came by is gone. */
const STRAY_MS = 1000;
const AVAILABILITIES = ['available', 'busy', 'away'] as const;
let serial = 0;

/** What the sources of one user say, and what they were answered. */
export class Sources {
  readonly sayings: Saying[] = [];
  readonly #userId: string;
  readonly #pending = new Set<Promise<void>>();

  constructor(userId: string) {
    this.#userId = userId;
  }

  /** `lastsMs` null: until further notice. Said by its end, or by how long it lasts, in turn. */
  async say(web: Member, source: Source, lastsMs: number | null): Promise<void> {
    serial++;
    const text = `${source} ${serial}`;
    const byEnd = lastsMs !== null && serial % 2 === 0;
    const until = lastsMs === null ? null : byEnd ? Date.now() + lastsMs : undefined;
    const end = byEnd ? { until: new Date(until ?? 0).toISOString() } : { expiresInSeconds: lastsMs && lastsMs / 1000 };
    const availability = AVAILABILITIES[serial % AVAILABILITIES.length];
    await this.#ask(web, { source, text, until }, { availability, text, ...end });
  }

  /** Says nothing any more. */
  end(web: Member, source: Source): Promise<void> {
    return this.#ask(web, { source, text: null, until: null });
  }

  /** Makes certain what was not: says it again, in other words, until it is answered. */
  async makeCertain(web: () => Member | undefined): Promise<void> {
    await within(Promise.all(this.#pending), 15_000);
    for (const source of SOURCES) {
      for (let attempt = 0; attempt < 20 && !this.isCertain(source); attempt++) {
        const last = this.#of(source).at(-1);
        const open = web();
        await new Promise((resolve) => setTimeout(resolve, attempt === 0 ? STRAY_MS : 200));
        if (!last || !open) continue;
        if (last.text !== null && last.until === null) await this.say(open, source, null);
        else await this.end(open, source);
      }
    }
  }

  /** Whether what it said last is answered, and nothing that it said before can come after it. */
  isCertain(source: Source): boolean {
    const all = this.#of(source);
    const last = all.at(-1);
    if (!last) return true;
    return (
      all.every((one) => one === last || one.to + (one.fate === 'sure' ? 0 : STRAY_MS) <= last.from) &&
      last.fate === 'sure'
    );
  }

  /** What sources say at that moment for all that was answered, the strongest first. */
  inForce(at: number): Saying[] {
    return SOURCES.flatMap((source) => {
      const last = this.#of(source).findLast(({ fate }) => fate === 'sure');
      return last && last.text !== null && (last.until == null || last.until > at) ? [last] : [];
    });
  }

  /** What the strongest source may say at any moment of the span, for all that was answered; null: nothing. */
  strongestIn({ from, to }: Span): Set<string | null> {
    const ends = this.sayings.flatMap(({ until }) => (until != null && until >= from && until <= to ? [until] : []));
    return new Set([from, ...ends, to].map((at) => this.inForce(at)[0]?.text ?? null));
  }

  /** From when on a text has to be shown to nobody any more; Infinity: it may be shown for all that is certain. */
  overFrom(text: string): number {
    const saying = this.sayings.find((one) => one.text === text);
    if (!saying) return 0;
    const later = this.sayings.find(
      ({ source, from, fate }) => source === saying.source && fate === 'sure' && from >= saying.to,
    );
    return Math.min(saying.until ?? Number.POSITIVE_INFINITY, later?.to ?? Number.POSITIVE_INFINITY);
  }

  #of(source: Source): Saying[] {
    return this.sayings.filter((one) => one.source === source && one.fate !== 'refused');
  }

  async #ask(web: Member, said: Pick<Saying, 'source' | 'text' | 'until'>, body?: object): Promise<void> {
    const saying: Saying = { ...said, from: Date.now(), to: Number.POSITIVE_INFINITY, fate: 'open' };
    this.sayings.push(saying);
    const ownToken = said.source === 'manual' && serial % 3 !== 0;
    const token = await (ownToken ? tokenFor(this.#userId) : tokenFor('host', { scope: 'presence:write' }));
    const path = `/users/${this.#userId}/detail/${said.source}`;
    // Taken in whenever it is answered, also where nobody waits for it any more.
    const answered = rest(`http://127.0.0.1:${web.port}`, body ? 'PUT' : 'DELETE', path, { token, body })
      .then((answer) => {
        saying.fate = answer.status < 300 ? 'sure' : answer.status < 500 ? 'refused' : 'unknown';
        if (saying.fate === 'sure' && body) saying.until = answer.body.until && Date.parse(answer.body.until);
      })
      .catch(() => {
        saying.fate = 'unknown';
      })
      .finally(() => {
        saying.to = Date.now();
        this.#pending.delete(answered);
      });
    this.#pending.add(answered);
    await within(answered, PATIENCE_MS);
  }
}
