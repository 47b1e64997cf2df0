import { RollcallError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Detail } from '../presence/change.ts';
import type { Access, Openness, Ties } from '../presence/visibility.ts';
import type { Extra, SessionView, StatusAnswer } from '../protocol/http.ts';
import type { WatchedUser } from '../protocol/socket.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import type { Stores } from '../stores.ts';
import { iso, payloadOf } from './payloads.ts';
import type { StatusApi } from './presence-api.ts';
import { PrivacyMender } from './privacy.ts';
import { StatusExtras } from './status-extras.ts';
import { applyAccess, askPostgres, askRedis, type FromRedis, type Seen } from './status-steps.ts';
import type { StoredUsers } from './stored-users.ts';
import { orUnavailable, postgresUnavailable } from './unavailable.ts';

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
  /** What is said of those who appear inactive, where the viewer is told so all the same: of itself, and where it sees everything. */
  hidden: Map<string, Detail>;
}

/** A snapshot of nobody, to which others can be added. */
export function nothingSeen(): Snapshot {
  return { users: [], pending: [], positions: new Map(), restricted: new Set(), unsure: new Set(), hidden: new Map() };
}

/**
 * Looks at people for the doors: through Redis, and through PostgreSQL where Redis does not know. A viewer of null sees
 * everything.
 */
export class StatusReads implements StatusApi {
  readonly #stores: Stores;
  readonly #storedUsers: StoredUsers;
  readonly #extras: StatusExtras;
  readonly #followUps: FollowUps;
  readonly #mender: PrivacyMender;

  /** `storedUsers` and `followUps` are those of the process, shared with who writes; `ttlMs`: life of a session's heartbeat. */
  constructor(stores: Stores, storedUsers: StoredUsers, followUps: FollowUps, ttlMs: number, log: Logger) {
    this.#stores = stores;
    this.#storedUsers = storedUsers;
    this.#extras = new StatusExtras(stores, storedUsers, followUps, ttlMs);
    this.#followUps = followUps;
    this.#mender = new PrivacyMender(stores, followUps, log);
  }

  async status(viewerId: string | null, userId: string, extras?: ReadonlySet<Extra>): Promise<StatusAnswer> {
    const { users, unknown, pending } = await this.#see([userId], viewerId);
    if (pending.length > 0) throw postgresUnavailable();
    const [user] = users;
    if (!user || unknown.has(userId)) throw new RollcallError('USER_NOT_FOUND');
    const answer = payloadOf(user);
    return extras?.size ? ((await this.#extras.add(viewerId, [user], extras)).get(userId) ?? answer) : answer;
  }

  async statuses(viewerId: string | null, userIds: string[], extras?: ReadonlySet<Extra>): Promise<StatusAnswer[]> {
    if (extras?.size) return this.#withExtras(viewerId, userIds, extras);
    // Of most there is nothing more to know, and in one answer for all it costs a third.
    const glanced = await orUnavailable(() => this.#stores.store.glance(userIds, viewerId === null));
    const others = new Set(userIds.filter((_, n) => glanced[n] === null));
    if (others.size === 0) return glanced.flatMap((user) => user ?? []);
    const { users, pending } = await this.#see([...others], viewerId);
    if (pending.length > 0) throw postgresUnavailable();
    const byId = new Map(users.map((user) => [user.userId, payloadOf(user)]));
    return userIds.map((userId, n) => glanced[n] ?? byId.get(userId) ?? { userId, status: 'inactive', lastSeen: null });
  }

  async #withExtras(viewerId: string | null, userIds: string[], extras: ReadonlySet<Extra>): Promise<StatusAnswer[]> {
    const { users, pending } = await this.#see([...new Set(userIds)], viewerId);
    if (pending.length > 0) throw postgresUnavailable();
    const answers = await this.#extras.add(viewerId, users, extras);
    return userIds.flatMap((userId) => answers.get(userId) ?? []);
  }

  /** A picture for watchers: the users with versions, and the positions from which on events count. Throws UNAVAILABLE. */
  async snapshot(userIds: string[], viewerId: string | null): Promise<Snapshot> {
    const seen = await this.#see([...new Set(userIds)], viewerId, true);
    const { users, pending, positions, restricted, unsure, hiddenStored } = seen;
    const stored = [...hiddenStored].filter(([userId]) => viewerId === null || viewerId === userId);
    return { users, pending, positions, restricted, unsure, hidden: new Map([...stored, ...seen.hidden]) };
  }

  /**
   * What a user allows, and what stands between the user and each of these viewers, in their order; null: it cannot be known
   * while PostgreSQL is away. Throws UNAVAILABLE.
   */
  async relations(userId: string, viewerIds: string[]): Promise<(Openness & { relations: Ties[] }) | null> {
    const known = await orUnavailable(() => this.#stores.privacy.relations(userId, viewerIds));
    if (known) return known;
    this.#mender.mend([userId]);
    return orUnavailable(() => this.#storedUsers.relations(userId, viewerIds));
  }

  /** What a viewer may see of each of these users; nothing where that cannot be known. Throws UNAVAILABLE. */
  async accesses(userIds: readonly string[], viewerId: string): Promise<Map<string, Access>> {
    const { replies } = await askRedis(this.#stores.store, this.#followUps, userIds, viewerId, false);
    const unknown = replies.flatMap(({ userId, access }) => (access === 'unknown' ? userId : []));
    this.#mender.mend(unknown);
    const stored = await this.#storedUsers.accesses(viewerId, unknown);
    const known = (userId: string) => (stored ? (stored.get(userId) ?? 'all') : 'nothing');
    return new Map(replies.map(({ userId, access }) => [userId, access === 'unknown' ? known(userId) : access]));
  }

  /** The sessions that a user has at present, the user's own view of them. Throws USER_NOT_FOUND or UNAVAILABLE. */
  async sessions(userId: string): Promise<SessionView[]> {
    const record = await orUnavailable(async () => {
      const { record, followUp } = await this.#stores.store.inspect(userId);
      this.#followUps.add(followUp);
      return record;
    });
    if (!record) {
      await this.requireKnown(userId);
      return [];
    }
    return record.sessions.map((session) => ({
      sessionId: session.sessionId,
      device: { kind: session.kind, name: session.name === '' ? null : session.name },
      connectedAt: iso(session.connectedAt),
      lastHeartbeat: iso(session.lastBeat),
      state: session.state,
    }));
  }

  /**
   * Rejects with USER_NOT_FOUND where both stores say that nobody by this id ever came, and with UNAVAILABLE where
   * Redis is away.
   */
  async requireKnown(userId: string): Promise<void> {
    const { unknown } = await this.#see([userId], null);
    if (unknown.has(userId)) throw new RollcallError('USER_NOT_FOUND');
  }

  async #see(userIds: string[], viewerId: string | null, withPositions = false): Promise<Seen & FromRedis> {
    const fromRedis = await askRedis(this.#stores.store, this.#followUps, userIds, viewerId, withPositions);
    const fromPostgres = await askPostgres(this.#storedUsers, fromRedis.replies, viewerId);
    const seen = applyAccess(fromRedis.replies, fromPostgres);
    this.#mender.mend(seen.lost);
    return { ...seen, ...fromRedis };
  }
}
