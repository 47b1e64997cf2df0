import { randomUUID } from 'node:crypto';
import type { Logger } from '../log.ts';
import { isConnectionError } from '../postgres/errors.ts';
import { type PrivacyNews, privacyList, privacyOf, raiseAbove } from '../postgres/privacy.ts';
import { loadStoredForScripts } from '../postgres/users.ts';
import type { FollowUp } from '../presence/follow-up.ts';
import { asksForFriends, type Privacy, type PrivacyStep } from '../presence/visibility.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import { isRedisAway } from '../redis/absence.ts';
import type { Stored } from '../redis/presence-types.ts';
import type { Staged } from '../redis/privacy-cache.ts';
import type { Stores } from '../stores.ts';

/** Of a list that is read from PostgreSQL and gathered in Redis: neither stands still for long. */
const LIST_PAGE = 1000;
/** Each attempt begins with what PostgreSQL says by then; who changes faster than that is told by whoever makes the last change. */
const ATTEMPTS = 10;
const MENDING_AT_ONCE = 100;

type PrivacyStores = Pick<Stores, 'privacy' | 'db' | 'detailOrder'>;

/**
 * Thrown where others go on changing who may see the user, faster than it can be read and told. Whoever makes the last
 * change tells it.
 */
export class ChangedMeanwhile extends Error {
  constructor() {
    super('Who may see a user changes faster than it can be told; it is tried again');
  }
}

/** What is being told of a user by this process, for each Redis: the last in line. */
const lines = new WeakMap<Stores['privacy'], Map<string, Promise<unknown>>>();

/**
 * Tells Redis, and with it every watcher, who may see the user from now on. PostgreSQL has it already; the one way for doors
 * and workers. `news` null: nothing was changed, Redis is to have what PostgreSQL says. Returns what is owed to the queues.
 * Of one user one change at a time: who makes many side by side would have each of them read anew for every other. Rejects with
 * ChangedMeanwhile, and with errors of either store where it is away; nothing is half-told then.
 */
export async function tellPrivacy(stores: PrivacyStores, userId: string, news: PrivacyNews | null): Promise<FollowUp> {
  const line = lines.get(stores.privacy) ?? new Map<string, Promise<unknown>>();
  lines.set(stores.privacy, line);
  const told = (line.get(userId) ?? Promise.resolve()).then(() => tellAlone(stores, userId, news));
  const last = told.catch(() => {});
  line.set(userId, last);
  try {
    return await told;
  } finally {
    if (line.get(userId) === last) line.delete(userId);
  }
}

async function tellAlone(stores: PrivacyStores, userId: string, news: PrivacyNews | null): Promise<FollowUp> {
  const { privacy: cache, db, detailOrder } = stores;
  let privacy = news?.privacy ?? (await privacyOf(db, userId));
  let step = news?.step ?? null;
  let wantsWhole = step?.friendsBegin ?? false;
  let stored: Stored | null = null;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let staged: Staged | null = null;
    if (wantsWhole) {
      const whole = await stageWhole(stores, userId, privacy, step);
      ({ privacy, step, staged } = whole);
    }
    const set = await cache.set(userId, privacy, step, staged, stored);
    if (set.code === 'ok') return set.followUp;
    if (set.code === 'stored') stored = (await loadStoredForScripts(db, [userId], detailOrder)).get(userId) ?? 'new';
    if (set.code === 'whole') wantsWhole = true;
    if (set.code === 'old') {
      // Somebody has told a newer one; or this PostgreSQL is older than Redis, and has to go on from there.
      privacy = await privacyOf(db, userId);
      if (privacy.revision < set.revision) privacy = await raiseAbove(db, userId, set.revision);
      step = null;
      wantsWhole = false;
    }
  }
  throw new ChangedMeanwhile();
}

/** Gathers in Redis all that decides, true of one revision: of `privacy` where nothing has changed since, else of a newer one. */
async function stageWhole(
  { privacy: cache, db }: PrivacyStores,
  userId: string,
  privacy: Privacy,
  step: PrivacyStep | null,
): Promise<{ privacy: Privacy; step: PrivacyStep | null; staged: Staged }> {
  let wanted = privacy;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const staged = { token: randomUUID(), size: 0 };
    for (const list of ['friends', 'blocks'] as const) {
      if (list === 'friends' && !asksForFriends(wanted)) continue;
      for (let after = ''; ; ) {
        const page = await privacyList(db, userId, list, after, LIST_PAGE);
        await cache.stage(userId, staged.token, list, page);
        staged.size += page.length;
        if (page.length < LIST_PAGE) break;
        after = page.at(-1) ?? '';
      }
    }
    const now = await privacyOf(db, userId);
    // Lists of a user without a row have no revision of their own that would tell of a change; theirs are short-lived.
    if (now.revision <= wanted.revision) return { privacy: wanted, step: wanted === privacy ? step : null, staged };
    wanted = now;
  }
  throw new ChangedMeanwhile();
}

/**
 * Mends the cache in Redis of users of whom it does not know who may see them: lost, or of another revision. In the
 * background, each user once at a time; whoever meets them next asks again.
 */
export class PrivacyMender {
  readonly #stores: PrivacyStores;
  readonly #followUps: FollowUps;
  readonly #log: Logger;
  readonly #mending = new Set<string>();

  constructor(stores: PrivacyStores, followUps: FollowUps, log: Logger) {
    this.#stores = stores;
    this.#followUps = followUps;
    this.#log = log;
  }

  /** Has these users mended in the background, as far as there is room. */
  mend(userIds: Iterable<string>): void {
    for (const userId of userIds) {
      if (this.#mending.has(userId) || this.#mending.size >= MENDING_AT_ONCE) continue;
      this.#mending.add(userId);
      void this.#mendOne(userId);
    }
  }

  async #mendOne(userId: string): Promise<void> {
    try {
      this.#followUps.add(await tellPrivacy(this.#stores, userId, null));
    } catch (error) {
      if (!(error instanceof ChangedMeanwhile || isRedisAway(error) || isConnectionError(error))) {
        this.#log.error({ err: error, userId }, 'Who may see a user could not be told to Redis');
      }
    } finally {
      this.#mending.delete(userId);
    }
  }
}
