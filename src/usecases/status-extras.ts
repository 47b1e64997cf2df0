import { lastTransitions } from '../postgres/history.ts';
import type { Detail, StoredUser } from '../presence/change.ts';
import { strongest } from '../presence/detail.ts';
import { bestFirst, explain, ruleOfEnd } from '../presence/status.ts';
import type { Extra, StatusAnswer } from '../protocol/http.ts';
import type { WatchedUser } from '../protocol/socket.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import { shardOf } from '../redis/keys.ts';
import type { UserRecord } from '../redis/record.ts';
import type { Stores } from '../stores.ts';
import { iso, isoOrNull, payloadOf, whyOf } from './payloads.ts';
import type { StoredUsers } from './stored-users.ts';
import { orUnavailable, postgresUnavailable } from './unavailable.ts';

/** Redis does nothing else while a script runs: of more users it is asked in several. */
const AT_ONCE = 50;
/** Whom nobody ever heard of. */
const NEVER = { rule: 'timeout', sessionId: null, since: null, nextChangeAt: null, source: null } as const;

interface Inspected {
  record: UserRecord | null;
  /** What PostgreSQL has of who has no record. */
  stored: StoredUser | undefined;
  /** Redis's time (ms). */
  now: number;
}

/**
 * Adds to statuses what `include` asks for, as far as the viewer may know it: `users` are as they are shown to the viewer, so
 * nothing is found out of whom they may see nothing.
 */
export class StatusExtras {
  readonly #stores: Stores;
  readonly #storedUsers: StoredUsers;
  readonly #followUps: FollowUps;
  readonly #ttlMs: number;

  constructor(stores: Stores, storedUsers: StoredUsers, followUps: FollowUps, ttlMs: number) {
    this.#stores = stores;
    this.#storedUsers = storedUsers;
    this.#followUps = followUps;
    this.#ttlMs = ttlMs;
  }

  /** The answers, by id, with these keys added; a viewer of null sees everything. Throws UNAVAILABLE. */
  async add(
    viewerId: string | null,
    users: readonly WatchedUser[],
    extras: ReadonlySet<Extra>,
  ): Promise<Map<string, StatusAnswer>> {
    // What is said of somebody who appears inactive is shown to them and to services all the same.
    const seesHidden = ({ userId, status }: WatchedUser) =>
      extras.has('detail') && status === 'inactive' && (viewerId === null || viewerId === userId);
    // Who is not active has no devices for anybody, and is not looked at for them.
    const isLooked = (user: WatchedUser) =>
      extras.has('why') || (extras.has('devices') && user.status === 'active') || seesHidden(user);
    const inspected = await this.#inspect(users.filter(isLooked).map(({ userId }) => userId));
    if (extras.has('why') || users.some(seesHidden)) await this.#addStored(inspected);
    const whys = extras.has('why') ? await this.#whys(inspected) : null;
    return new Map(
      users.map((user) => {
        const answer: StatusAnswer = payloadOf(user);
        const found = inspected.get(user.userId);
        if (extras.has('devices')) answer.devices = devicesOf(user, found?.record ?? null);
        if (extras.has('detail')) {
          const hidden = found && seesHidden(user) ? saidOf(found)?.detail : undefined;
          answer.detail = user.detail ?? hidden ?? {};
        }
        if (extras.has('version')) answer.version = user.version;
        if (whys) answer.why = whys.get(user.userId) ?? NEVER;
        return [user.userId, answer];
      }),
    );
  }

  async #inspect(userIds: readonly string[]): Promise<Map<string, Inspected>> {
    const asked = [...Map.groupBy(userIds, shardOf)].flatMap(([shard, ids]) =>
      Array.from({ length: Math.ceil(ids.length / AT_ONCE) }, (_, n) => ({
        shard,
        ids: ids.slice(n * AT_ONCE, (n + 1) * AT_ONCE),
      })),
    );
    const found = await orUnavailable(() =>
      Promise.all(
        asked.map(async ({ shard, ids }) => {
          const { now, records, followUp } = await this.#stores.store.inspectAll(shard, ids);
          this.#followUps.add(followUp);
          return ids.map((userId, n) => [userId, { now, record: records[n] ?? null, stored: undefined }] as const);
        }),
      ),
    );
    return new Map(found.flat());
  }

  async #addStored(inspected: ReadonlyMap<string, Inspected>): Promise<void> {
    const without = withoutRecord(inspected);
    const storedUsers = await this.#storedUsers.load(without.map(([userId]) => userId));
    if (storedUsers === null) throw postgresUnavailable();
    for (const [userId, found] of without) found.stored = storedUsers.get(userId);
  }

  async #whys(inspected: ReadonlyMap<string, Inspected>): Promise<Map<string, NonNullable<StatusAnswer['why']>>> {
    const userIds = withoutRecord(inspected).map(([userId]) => userId);
    const last = await orUnavailable(() => lastTransitions(this.#stores.db, userIds));
    return new Map(
      [...inspected].map(([userId, found]) => {
        const { record, stored, now } = found;
        const source = saidOf(found)?.source ?? null;
        if (record) return [userId, whyOf(explain(record, this.#ttlMs), source)];
        if (stored?.hidden) {
          const { remainingMs } = stored.hidden;
          const nextChangeAt = remainingMs === null ? null : iso(now + remainingMs);
          return [userId, { rule: 'manual', sessionId: null, since: null, nextChangeAt, source }];
        }
        const { cause = null, at = null } = last.get(userId) ?? {};
        return [userId, { rule: ruleOfEnd(cause), sessionId: null, since: isoOrNull(at), nextChangeAt: null, source }];
      }),
    );
  }
}

function withoutRecord(inspected: ReadonlyMap<string, Inspected>): [string, Inspected][] {
  return [...inspected].filter(([, { record }]) => !record);
}

/** What the strongest source in force says. */
function saidOf({ record, stored, now }: Inspected): { source: string; detail: Detail } | undefined {
  return record ? record.sources.find(({ until }) => until === null || until > now) : strongest(stored?.sources ?? []);
}

/** Whoever is told "inactive", for whatever reason, must not read the opposite from the devices. */
function devicesOf({ status }: WatchedUser, record: UserRecord | null): NonNullable<StatusAnswer['devices']> {
  const isShown = status === 'active' && record && record.hiddenUntil === null && !record.choiceUnknown;
  return isShown ? bestFirst(record.sessions).map(({ kind, state }) => ({ kind, state })) : [];
}
