import { RollcallError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { lastTransition } from '../postgres/history.ts';
import { bestFirst, explain, ruleOfEnd } from '../presence/status.ts';
import { type Access, stricter } from '../presence/visibility.ts';
import type { Extra, StatusAnswer } from '../protocol/http.ts';
import type { WatchedUser } from '../protocol/socket.ts';
import type { StatusPayload } from '../protocol/vocabulary.ts';
import { FollowUps } from '../queues/follow-ups.ts';
import { shardOf } from '../redis/keys.ts';
import type { StatusReply } from '../redis/presence-types.ts';
import type { Stores } from '../stores.ts';
import { detailOf, iso, isoOrNull, payloadOf, recalled, versioned, visibleTo, whyOf } from './payloads.ts';
import type { Look } from './presence-api.ts';
import { PrivacyMender } from './privacy.ts';
import { StoredUsers } from './stored-users.ts';
import { orUnavailable, unavailable } from './unavailable.ts';

/** Up to which outbox entry of each shard a snapshot is true, and what it shows. */
export interface Snapshot {
  users: WatchedUser[];
  /** Cannot be known while PostgreSQL is away. */
  pending: string[];
  positions: Map<number, string>;
  /** Users of whom not everybody sees the same. */
  restricted: Set<string>;
  /** Whom Redis does not know, and PostgreSQL, asked a moment later, has as active: lost by the one, or come meanwhile. */
  unsure: Set<string>;
}

export function nothingSeen(): Snapshot {
  return { users: [], pending: [], positions: new Map(), restricted: new Set(), unsure: new Set() };
}

/** An id that nobody can have. */
const NOBODYS_ID = ' ';

/** How doors look at people: through Redis, and through PostgreSQL where Redis does not know. A viewer of null sees everything. */
export class Views {
  protected readonly stores: Stores;
  protected readonly storedUsers: StoredUsers;
  readonly #ttlMs: number;
  readonly followUps: FollowUps;
  readonly #mender: PrivacyMender;

  constructor(stores: Stores, ttlMs: number, log: Logger) {
    this.stores = stores;
    this.storedUsers = new StoredUsers(stores.db);
    this.#ttlMs = ttlMs;
    this.followUps = new FollowUps(stores.queues, log);
    this.#mender = new PrivacyMender(stores, this.followUps, log);
  }

  async status(viewerId: string | null, userId: string, extras?: ReadonlySet<Extra>): Promise<StatusAnswer> {
    const { users, unknown, pending, blind } = await this.see([userId], viewerId);
    if (pending.length > 0) throw unavailable();
    const [user] = users;
    if (!user || unknown.has(userId)) throw new RollcallError('USER_NOT_FOUND');
    const answer: StatusAnswer = payloadOf(user);
    if (!extras?.size) return answer;
    const { devices, detail, why } = await this.#look(userId, blind.has(userId));
    // Whoever is told "inactive", for whatever reason, must not read the opposite from the devices.
    if (extras.has('devices')) answer.devices = answer.status === 'active' ? devices : [];
    if (extras.has('detail')) answer.detail = blind.has(userId) ? {} : detail;
    if (extras.has('why')) answer.why = why;
    return answer;
  }

  async statuses(viewerId: string | null, userIds: string[]): Promise<StatusPayload[]> {
    const { users, pending } = await this.see([...new Set(userIds)], viewerId);
    if (pending.length > 0) throw unavailable();
    const byId = new Map(users.map((user) => [user.userId, payloadOf(user)]));
    return userIds.map((userId) => byId.get(userId) ?? { userId, status: 'inactive', lastSeen: null });
  }

  /** What watchers get first: with versions, and with the position from which on events count. Throws UNAVAILABLE. */
  async snapshot(userIds: string[], viewerId: string | null): Promise<Snapshot> {
    const { users, pending, positions, restricted, unsure } = await this.see([...new Set(userIds)], viewerId, true);
    return { users, pending, positions, restricted, unsure };
  }

  /**
   * What a user allows, and what stands between the user and each of these viewers; null: it cannot be known while
   * PostgreSQL is away. Throws UNAVAILABLE.
   */
  async relations(userId: string, viewerIds: string[]) {
    const known = await orUnavailable(() => this.stores.privacy.relations(userId, viewerIds));
    if (known) return known;
    this.#mender.mend([userId]);
    return orUnavailable(() => this.storedUsers.relations(userId, viewerIds));
  }

  async #look(userId: string, blind: boolean): Promise<Look> {
    // Who sees nothing waits as long as for somebody who never came: the same questions are asked, and find as little.
    const { record, now } = await this.inspect(blind ? NOBODYS_ID : userId);
    if (!record) return this.#lookBack(userId, now);
    const hidden = record.hiddenUntil !== null || record.choiceUnknown;
    return {
      devices: hidden ? [] : bestFirst(record.sessions).map(({ kind, state }) => ({ kind, state })),
      detail: (hidden ? null : record.detail) ?? {},
      why: whyOf(explain(record, this.#ttlMs)),
    };
  }

  protected async inspect(userId: string) {
    return orUnavailable(async () => {
      const { record, now, followUp } = await this.stores.store.inspect(userId);
      this.followUps.add(followUp);
      return { record, now };
    });
  }

  /** For a user Redis has no record of: what PostgreSQL remembers. */
  async #lookBack(userId: string, now: number): Promise<Look> {
    const storedUsers = await this.storedUsers.load([userId]);
    if (storedUsers === null) throw unavailable();
    const stored = storedUsers.get(userId);
    if (!stored) throw new RollcallError('USER_NOT_FOUND');
    const last = await orUnavailable(() => lastTransition(this.stores.db, userId));
    const { hidden } = stored;
    if (hidden) {
      const nextChangeAt = hidden.remainingMs === null ? null : iso(now + hidden.remainingMs);
      return { devices: [], detail: {}, why: { rule: 'manual', sessionId: null, since: null, nextChangeAt } };
    }
    const why = { rule: ruleOfEnd(last?.cause ?? null), sessionId: null, since: isoOrNull(last?.at ?? null) };
    return { devices: [], detail: detailOf(stored) ?? {}, why: { ...why, nextChangeAt: null } };
  }

  protected async see(
    userIds: string[],
    viewerId: string | null,
    withPositions = false,
  ): Promise<Snapshot & { unknown: Set<string>; blind: Set<string> }> {
    const { store } = this.stores;
    const positions = new Map<number, string>();
    const replies = await orUnavailable(() =>
      Promise.all(
        [...Map.groupBy(userIds, shardOf)].map(async ([shard, ids]) => {
          if (!withPositions) {
            const { users, followUp } = await store.readStatuses(shard, ids, viewerId);
            if (followUp) this.followUps.add(followUp);
            return users;
          }
          const { users, position, followUp } = await store.snapshot(shard, ids, viewerId);
          this.followUps.add(followUp);
          positions.set(shard, position);
          return users;
        }),
      ),
    );
    const users: WatchedUser[] = [];
    const pending: string[] = [];
    const restricted = new Set<string>();
    const blind = new Set<string>();
    const unknown = new Set<string>();
    const unsure = new Set<string>();
    const show = (user: WatchedUser, access: Access) => {
      if (access === 'nothing') blind.add(user.userId);
      users.push(visibleTo(access, user));
    };
    const asked: StatusReply[] = [];
    for (const reply of replies.flat()) {
      if (reply.restricted) restricted.add(reply.userId);
      if (reply.choiceUnknown) pending.push(reply.userId);
      else if (reply.version !== null && (reply.access === 'all' || reply.access === 'status')) {
        show(versioned(reply, reply.version), reply.access);
      }
      // Of whom the viewer may see nothing PostgreSQL is asked too, as it is about somebody who never came.
      else asked.push(reply);
    }
    const askedIds = asked.map((reply) => reply.userId);
    const [storedUsers, accesses] = await Promise.all([
      this.storedUsers.load(askedIds),
      viewerId === null ? new Map<string, Access>() : this.storedUsers.accesses(viewerId, askedIds),
    ]);
    const lost: string[] = [];
    for (const reply of asked) {
      const { userId, known, version } = reply;
      const stored = storedUsers?.get(userId);
      if (version !== null && reply.access === 'unknown') lost.push(userId);
      // Where PostgreSQL cannot say who may see the user, nobody is shown anything.
      const access = reply.access === 'unknown' ? accesses && 'all' : reply.access;
      if (access === null || (!known && storedUsers === null)) {
        pending.push(userId);
        continue;
      }
      if (stored?.privacyRevision) restricted.add(userId);
      if (version === null && stored?.status === 'active') unsure.add(userId);
      if (!known && !stored) unknown.add(userId);
      const seen = stricter(access, accesses?.get(userId) ?? 'all');
      const isRecorded = version !== null && seen !== 'nothing';
      show(isRecorded ? versioned(reply, version) : recalled(reply, stored), seen);
    }
    this.#mender.mend(lost);
    return { users, pending, positions, unknown, restricted, unsure, blind };
  }
}
