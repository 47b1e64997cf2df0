import { RollcallError, toRollcallError } from '../errors.ts';
import { peopleBeginningWith, tiesOf } from '../postgres/people.ts';
import { isValidId } from '../presence/ids.ts';
import type { FoundPersonView, Known, PersonAnswer, PersonPastAnswer } from '../protocol/console.ts';
import { timeOf } from '../redis/time.ts';
import type { Stores } from '../stores.ts';
import type { AnalyticsApi } from './analytics.ts';
import { iso } from './payloads.ts';
import type { PresenceApi } from './presence-api.ts';
import { privacyInWords } from './privacy-words.ts';
import type { Profiles } from './profiles.ts';
import type { RoomsApi } from './rooms.ts';
import type { Social } from './social.ts';
import { orUnavailable } from './unavailable.ts';

const DAYS = 28;
const ALL = new Set(['detail', 'why'] as const);

/** The use cases that the console asks, the same that everybody else does. */
export interface ConsoleAsks {
  presence: PresenceApi;
  profiles: Pick<Profiles, 'profile'>;
  social: Pick<Social, 'settings'>;
  rooms: Pick<RoomsApi, 'ofUser'>;
  analytics: Pick<AnalyticsApi, 'history' | 'activity'>;
}

/** People, as operators look at them: everything, whoever may see them. */
export class ConsolePeople {
  readonly #stores: Pick<Stores, 'db' | 'redis' | 'keys'>;
  readonly #asks: ConsoleAsks;

  constructor(stores: Pick<Stores, 'db' | 'redis' | 'keys'>, asks: ConsoleAsks) {
    this.#stores = stores;
    this.#asks = asks;
  }

  /**
   * Users whose id or name begins so. Who is named exactly is among them too where only Redis knows of them yet, and while
   * PostgreSQL is away. Throws UNAVAILABLE.
   */
  async find(prefix: string, limit: number): Promise<FoundPersonView[]> {
    const stored = orUnavailable(() => peopleBeginningWith(this.#stores.db, prefix, limit));
    const [listed, exact] = await Promise.allSettled([stored, this.#exactly(prefix)]);
    const named = exact.status === 'fulfilled' ? exact.value : [];
    if (listed.status === 'rejected' && named.length === 0) throw listed.reason;
    const found = [...named, ...(listed.status === 'fulfilled' ? listed.value : [])];
    const people = [...new Map(found.map((person) => [person.userId, person])).values()].slice(0, limit);
    const ids = people.map(({ userId }) => userId);
    const statuses = await this.#asks.presence.reads.statuses(null, ids).catch(() => null);
    return people.map(({ userId, displayName }, n) => ({
      userId,
      displayName,
      status: statuses?.[n]?.status ?? null,
      lastSeen: statuses?.[n]?.lastSeen ?? null,
    }));
  }

  /** All about a person. Throws USER_NOT_FOUND; what a store that is away knows is missing, with the reason. */
  async person(userId: string): Promise<PersonAnswer> {
    const { presence, profiles, social, rooms } = this.#asks;
    const { redis, keys } = this.#stores;
    const status = await known(async () => {
      const { status, lastSeen, detail = {}, why } = await presence.reads.status(null, userId, ALL);
      if (!why) throw new RollcallError('USER_NOT_FOUND');
      return { status, lastSeen, detail, why };
    });
    const ties = known(() => orUnavailable(() => tiesOf(this.#stores.db, userId)));
    const [now, profile, sessions, inRooms, sources, privacy, counts] = await Promise.all([
      timeOf(redis, keys.record(userId)).catch(() => Date.now()),
      known(async () => {
        const { displayName, avatarUrl, createdAt } = await profiles.profile(userId);
        return { displayName, avatarUrl, createdAt };
      }),
      known(() => presence.reads.sessions(userId)),
      known(() => rooms.ofUser(userId)),
      known(() => presence.details.list(userId)),
      known(async () => privacyInWords(await social.settings(userId))),
      ties,
    ]);
    const part = (name: 'friends' | 'blocks') => ('known' in counts ? { known: counts.known[name] } : counts);
    return {
      at: iso(now),
      userId,
      status,
      profile,
      overdueMs: 'known' in status ? { known: overdueBy(status.known, now) } : status,
      sessions,
      rooms: inRooms,
      sources,
      privacy,
      friends: part('friends'),
      blocks: part('blocks'),
    };
  }

  /** The last days and a page of the history, the newest first. Throws USER_NOT_FOUND. */
  async past(userId: string, before: number | null, limit: number): Promise<PersonPastAnswer> {
    const { analytics } = this.#asks;
    const [days, history] = await Promise.all([
      known(async () => (await analytics.activity(userId, DAYS)).days),
      known(() => analytics.history(userId, {}, before, limit)),
    ]);
    return { days, history };
  }

  async #exactly(userId: string) {
    if (!isValidId(userId)) return [];
    try {
      await this.#asks.presence.reads.status(null, userId);
    } catch (error) {
      if (error instanceof RollcallError && error.code === 'USER_NOT_FOUND') return [];
      throw error;
    }
    return [{ userId, displayName: null }];
  }
}

function overdueBy(
  { status, why }: { status: string; why: { rule: string; nextChangeAt: string | null } },
  now: number,
): number {
  if (status !== 'active' || why.rule === 'manual' || why.nextChangeAt === null) return 0;
  return Math.max(0, now - Date.parse(why.nextChangeAt));
}

/** Throws USER_NOT_FOUND; anything else that is in the way becomes the reason why it is not known. */
async function known<T>(ask: () => Promise<T>): Promise<Known<T>> {
  try {
    return { known: await ask() };
  } catch (thrown) {
    const error = toRollcallError(thrown);
    if (error.code !== 'UNAVAILABLE') throw thrown;
    return { unknown: error.message };
  }
}
