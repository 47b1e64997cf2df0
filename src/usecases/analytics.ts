import { RollcallError } from '../errors.ts';
import { activityByDay } from '../postgres/activity.ts';
import { timeline } from '../postgres/analytics.ts';
import { hasUser, transitionsBefore } from '../postgres/history.ts';
import type {
  ActiveAnswer,
  ActiveUsersAnswer,
  ActivityAnswer,
  HistoryAnswer,
  TimelineAnswer,
} from '../protocol/analytics.ts';
import type { Place } from '../redis/newest-first.ts';
import type { Stores } from '../stores.ts';
import { type SeenCursor, writeHistoryCursor, writeSeenCursor } from './cursors.ts';
import { iso, isoOrNull } from './payloads.ts';
import { orUnavailable } from './unavailable.ts';

const MINUTE_MS = 60_000;
/** The index is completed within seconds, and heartbeats are caught up within one. */
const INCOMPLETE_RETRY_MS = 5000;
const HELD_RETRY_MS = 1000;

/** ms; the end does not count. */
export interface Range {
  from: number;
  to: number;
}

/** What the doors ask about many people, and about the past. Throws UNAVAILABLE where the answer would be a guess. */
export interface AnalyticsApi {
  /** How many are active now, and were within each of these numbers of minutes. */
  active(minutes: number[]): Promise<ActiveAnswer>;
  /** Users who were seen lately, the newest first, at most `limit`; with a cursor for the next page where there are more. */
  activeUsers(from: { minutes: number } | SeenCursor, limit: number): Promise<ActiveUsersAnswer>;
  /** The most that were active in each step of a stretch, and how many came or went. */
  timeline(range: Range, stepMs: number): Promise<TimelineAnswer>;
  /**
   * Transitions of a user, the newest first, at most `limit`. `before`: only what is older than that version. Throws
   * USER_NOT_FOUND.
   */
  history(userId: string, range: Partial<Range>, before: number | null, limit: number): Promise<HistoryAnswer>;
  /** How long a user was active on each of the last days. Throws USER_NOT_FOUND. */
  activity(userId: string, days: number): Promise<ActivityAnswer>;
}

/** Figures of many people, and the past of one, from Redis's index and PostgreSQL's history. */
export class Analytics implements AnalyticsApi {
  readonly #stores: Stores;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  async active(minutes: number[]): Promise<ActiveAnswer> {
    return orUnavailable(async () => {
      const now = await this.#exactNow();
      const moments = minutes.map((each) => now - each * MINUTE_MS);
      const { active, seen } = await this.#stores.seen.count(now, moments);
      const within = minutes.map((each, n) => ({ minutes: each, users: seen[n] ?? 0 }));
      return { at: iso(now), activeNow: active, within };
    });
  }

  async activeUsers(from: { minutes: number } | SeenCursor, limit: number): Promise<ActiveUsersAnswer> {
    return orUnavailable(async () => {
      const now = await this.#exactNow();
      const [oldest, after]: [number, Place | null] =
        'minutes' in from ? [now - from.minutes * MINUTE_MS, null] : [from.oldest, from.after];
      const { users, more } = await this.#stores.seen.page(oldest, after, limit);
      const last = users.at(-1);
      return {
        users: users.map(({ userId, lastSeen }) => ({ userId, lastSeen: iso(lastSeen) })),
        nextCursor: more && last ? writeSeenCursor({ oldest, after: last }) : null,
      };
    });
  }

  async timeline({ from, to }: Range, stepMs: number): Promise<TimelineAnswer> {
    const points = await orUnavailable(() => timeline(this.#stores.db, from, to, stepMs));
    return { points: points.map((point) => ({ ...point, at: iso(point.at) })) };
  }

  async history(userId: string, range: Partial<Range>, before: number | null, limit: number): Promise<HistoryAnswer> {
    const { from = null, to = null } = range;
    return orUnavailable(async () => {
      const stretch = { from, to, version: before, limit: limit + 1 };
      const found = await transitionsBefore(this.#stores.db, userId, stretch);
      if (found.length === 0) await this.#requireKnown(userId);
      const shown = found.slice(0, limit);
      const last = found.length > limit ? shown.at(-1) : undefined;
      return {
        transitions: shown.map(({ at, lastSeen, ...rest }) => ({
          at: iso(at),
          lastSeen: isoOrNull(lastSeen),
          ...rest,
        })),
        nextCursor: last ? writeHistoryCursor(last.version) : null,
      };
    });
  }

  async activity(userId: string, days: number): Promise<ActivityAnswer> {
    return orUnavailable(async () => {
      await this.#requireKnown(userId);
      const { now } = await this.#stores.seen.state();
      return { days: await activityByDay(this.#stores.db, userId, now, days) };
    });
  }

  /** Redis's time, where Redis knows of everybody who was seen up to it. */
  async #exactNow(): Promise<number> {
    const { now, complete, held } = await this.#stores.seen.state();
    if (!complete) {
      const message = 'Redis came up empty, and not everybody is counted again yet.';
      throw new RollcallError('UNAVAILABLE', { message, retryAfterMs: INCOMPLETE_RETRY_MS });
    }
    if (held) {
      const message = 'Redis was not answering until just now, and has not heard of everybody yet.';
      throw new RollcallError('UNAVAILABLE', { message, retryAfterMs: HELD_RETRY_MS });
    }
    return now;
  }

  /** Who came a moment ago is known to Redis first. */
  async #requireKnown(userId: string): Promise<void> {
    const { db, records } = this.#stores;
    if (await hasUser(db, userId)) return;
    const [unknown] = await records.withoutRecord([userId]);
    if (unknown !== undefined) throw new RollcallError('USER_NOT_FOUND');
  }
}
