import { RollcallError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { lastTransition } from '../postgres/history.ts';
import { bestFirst, explain, ruleOfEnd } from '../presence/status.ts';
import { type Sight, stricter } from '../presence/visibility.ts';
import type { Extra, StatusAnswer } from '../protocol/http.ts';
import type { WatchedUser } from '../protocol/socket.ts';
import type { StatusPayload } from '../protocol/vocabulary.ts';
import { FollowUps } from '../queues/follow-ups.ts';
import { shardOf } from '../redis/keys.ts';
import type { Glimpse } from '../redis/presence-types.ts';
import type { Services } from '../stores.ts';
import { guarded, unavailable } from './guarded.ts';
import type { Look } from './presence-api.ts';
import { PrivacyMender } from './privacy.ts';
import { detailOf, iso, isoOrNull, payloadOf, recalled, versioned, visibleTo, whyOf } from './shown.ts';
import { Memories } from './stored-users.ts';

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
const NOBODY = ' ';

/** How doors look at people: through Redis, and through PostgreSQL where Redis does not know. A viewer of null sees everything. */
export class Views {
  protected readonly services: Services;
  protected readonly memories: Memories;
  readonly #ttlMs: number;
  readonly followUps: FollowUps;
  readonly #mender: PrivacyMender;

  constructor(services: Services, ttlMs: number, log: Logger) {
    this.services = services;
    this.memories = new Memories(services.db);
    this.#ttlMs = ttlMs;
    this.followUps = new FollowUps(services.queues, log);
    this.#mender = new PrivacyMender(services, this.followUps, log);
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
    const known = await guarded(() => this.services.privacy.relations(userId, viewerIds));
    if (known) return known;
    this.#mender.mend([userId]);
    return guarded(() => this.memories.relations(userId, viewerIds));
  }

  async #look(userId: string, blind: boolean): Promise<Look> {
    // Who sees nothing waits as long as for somebody who never came: the same questions are asked, and find as little.
    const { record, now } = await this.inspect(blind ? NOBODY : userId);
    if (!record) return this.#lookBack(userId, now);
    const hidden = record.hiddenUntil !== null || record.unseeded;
    return {
      devices: hidden ? [] : bestFirst(record.sessions).map(({ kind, state }) => ({ kind, state })),
      detail: (hidden ? null : record.detail) ?? {},
      why: whyOf(explain(record, this.#ttlMs)),
    };
  }

  protected async inspect(userId: string) {
    return guarded(async () => {
      const { record, now, followUp } = await this.services.store.inspect(userId);
      this.followUps.add(followUp);
      return { record, now };
    });
  }

  /** For a user Redis has no record of: what PostgreSQL remembers. */
  async #lookBack(userId: string, now: number): Promise<Look> {
    const memories = await this.memories.load([userId]);
    if (memories === null) throw unavailable();
    const memory = memories.get(userId);
    if (!memory) throw new RollcallError('USER_NOT_FOUND');
    const last = await guarded(() => lastTransition(this.services.db, userId));
    const { hidden } = memory;
    if (hidden) {
      const nextChangeAt = hidden.remainingMs === null ? null : iso(now + hidden.remainingMs);
      return { devices: [], detail: {}, why: { rule: 'manual', sessionId: null, since: null, nextChangeAt } };
    }
    const why = { rule: ruleOfEnd(last?.cause ?? null), sessionId: null, since: isoOrNull(last?.at ?? null) };
    return { devices: [], detail: detailOf(memory) ?? {}, why: { ...why, nextChangeAt: null } };
  }

  protected async see(
    userIds: string[],
    viewerId: string | null,
    withPositions = false,
  ): Promise<Snapshot & { unknown: Set<string>; blind: Set<string> }> {
    const { store } = this.services;
    const positions = new Map<number, string>();
    const glimpses = await guarded(() =>
      Promise.all(
        [...Map.groupBy(userIds, shardOf)].map(async ([shard, ids]) => {
          if (!withPositions) {
            const { users, followUp } = await store.glimpses(shard, ids, viewerId);
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
    const show = (user: WatchedUser, sight: Sight) => {
      if (sight === 'nothing') blind.add(user.userId);
      users.push(visibleTo(sight, user));
    };
    const asked: Glimpse[] = [];
    for (const glimpse of glimpses.flat()) {
      if (glimpse.restricted) restricted.add(glimpse.userId);
      if (glimpse.unseeded) pending.push(glimpse.userId);
      else if (glimpse.version !== null && (glimpse.sight === 'all' || glimpse.sight === 'status')) {
        show(versioned(glimpse, glimpse.version), glimpse.sight);
      }
      // Of whom the viewer may see nothing PostgreSQL is asked too, as it is about somebody who never came.
      else asked.push(glimpse);
    }
    const askedIds = asked.map((glimpse) => glimpse.userId);
    const [memories, sights] = await Promise.all([
      this.memories.load(askedIds),
      viewerId === null ? new Map<string, Sight>() : this.memories.sights(viewerId, askedIds),
    ]);
    const lost: string[] = [];
    for (const glimpse of asked) {
      const { userId, known, version } = glimpse;
      const memory = memories?.get(userId);
      if (version !== null && glimpse.sight === 'unknown') lost.push(userId);
      // Where PostgreSQL cannot say who may see the user, nobody is shown anything.
      const sight = glimpse.sight === 'unknown' ? sights && 'all' : glimpse.sight;
      if (sight === null || (!known && memories === null)) {
        pending.push(userId);
        continue;
      }
      if (memory?.privacyRevision) restricted.add(userId);
      if (version === null && memory?.status === 'active') unsure.add(userId);
      if (!known && !memory) unknown.add(userId);
      const seen = stricter(sight, sights?.get(userId) ?? 'all');
      const isRecorded = version !== null && seen !== 'nothing';
      show(isRecorded ? versioned(glimpse, version) : recalled(glimpse, memory), seen);
    }
    this.#mender.mend(lost);
    return { users, pending, positions, unknown, restricted, unsure, blind };
  }
}
