import { RollcallError } from '../errors.ts';

import type { Logger } from '../log.ts';
import { isConnectionError } from '../postgres/errors.ts';
import { lastTransition } from '../postgres/history.ts';
import { clearHidden, saveDetail, saveHidden } from '../postgres/users.ts';
import type { Claims, Detail, Memory } from '../presence/change.ts';
import { explain, ruleOfEnd } from '../presence/status.ts';
import type { Sight } from '../presence/visibility.ts';
import type { Extra, SessionView, StatusAnswer } from '../protocol/http.ts';
import type { SetDetailRequest, WatchedUser } from '../protocol/socket.ts';
import type { StatusPayload } from '../protocol/vocabulary.ts';
import { isRedisAway } from '../redis/connect.ts';
import { shardOf } from '../redis/keys.ts';
import type { Chosen, Glimpse, OpenCode, OpenRequest } from '../redis/presence-types.ts';
import type { Services } from '../services.ts';
import { FollowUps } from './follow-ups.ts';
import { Memories } from './memories.ts';
import type { Choice, Look, PresenceApi } from './presence-api.ts';
import { detailOf, iso, isoOrNull, payloadOf, recalled, sightInMemory, versioned, visibleTo, whyOf } from './shown.ts';

const RETRY_AFTER_MS = 1000;

/** Up to which outbox entry of each shard a snapshot is true, and what it shows. */
export interface Snapshot {
  users: WatchedUser[];
  /** Cannot be known while PostgreSQL is away. */
  pending: string[];
  positions: Map<number, string>;
  /** Users of whom not everybody sees the same. */
  restricted: Set<string>;
}

export function nothingSeen(): Snapshot {
  return { users: [], pending: [], positions: new Map(), restricted: new Set() };
}

export { iso };

/** The one way of the doors to the stores: asks Redis, and PostgreSQL where Redis does not know. */
export class Presence implements PresenceApi {
  readonly #services: Services;
  readonly #ttlMs: number;
  readonly #memories: Memories;
  readonly followUps: FollowUps;

  constructor(services: Services, ttlMs: number, log: Logger) {
    this.#services = services;
    this.#ttlMs = ttlMs;
    this.#memories = new Memories(services.db);
    this.followUps = new FollowUps(services.queues, log);
  }

  /** Opens (or restores) a session. Throws UNAVAILABLE; what else can happen is in the code. */
  async open(request: OpenRequest): Promise<Exclude<OpenCode, 'seed'>> {
    const { store } = this.#services;
    return guarded(async () => {
      let opened = await store.open(request, null);
      this.followUps.add(opened.followUp);
      if (opened.code === 'seed') {
        const from = performance.now();
        const seed = await this.#memories.seed(request.userId);
        // PostgreSQL may have taken its time, and the sign of life is older by that.
        const waitedMs = performance.now() - from;
        const { beatAgeMs, connectedAgeMs } = request;
        const aged = { ...request, beatAgeMs: beatAgeMs + waitedMs, connectedAgeMs: connectedAgeMs + waitedMs };
        opened = await store.open(aged, seed);
        this.followUps.add(opened.followUp);
      }
      return opened.code as Exclude<OpenCode, 'seed'>;
    });
  }

  async status(viewerId: string | null, userId: string, extras?: ReadonlySet<Extra>): Promise<StatusAnswer> {
    const { users, unknown, pending, blind } = await this.#see([userId], viewerId);
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
    const { users, pending } = await this.#see([...new Set(userIds)], viewerId);
    if (pending.length > 0) throw unavailable();
    const byId = new Map(users.map((user) => [user.userId, payloadOf(user)]));
    return userIds.map((userId) => byId.get(userId) ?? { userId, status: 'inactive', lastSeen: null });
  }

  /** What watchers get first: with versions, and with the position from which on events count. Throws UNAVAILABLE. */
  async snapshot(userIds: string[], viewerId: string | null): Promise<Snapshot> {
    const { users, pending, positions, restricted } = await this.#see([...new Set(userIds)], viewerId);
    return { users, pending, positions, restricted };
  }

  /** What a user allows, and what stands between the user and each of these viewers. Throws UNAVAILABLE. */
  relations(userId: string, viewerIds: string[]) {
    return guarded(() => this.#services.store.relations(userId, viewerIds));
  }

  async #look(userId: string, blind: boolean): Promise<Look> {
    const { record, now } = await this.#inspect(userId);
    // Who sees nothing waits as long as for somebody who never came.
    if (!record || blind) return this.#lookBack(userId, now);
    const hidden = record.hiddenUntil !== null || record.unseeded;
    return {
      devices: hidden ? [] : record.sessions.map(({ kind, state }) => ({ kind, state })),
      detail: (hidden ? null : record.detail) ?? {},
      why: whyOf(explain(record, this.#ttlMs)),
    };
  }

  async setStatus(userId: string, choice: Choice, claims: Claims | null): Promise<StatusPayload> {
    const { store, db } = this.#services;
    const setAt = await this.#redisNow();
    return guarded(async () => {
      // In PostgreSQL first: what a user chose outlives Redis.
      if (choice.status === 'inactive') await saveHidden(db, userId, { expiresInMs: choice.expiresInMs, setAt });
      const ask = async (cleared: boolean, seed: Memory | 'new' | null): Promise<Chosen> => {
        const chosen = await store.setStatus(
          userId,
          choice.status,
          { expiresInMs: choice.expiresInMs, cleared, claims },
          seed,
        );
        this.followUps.add(chosen.followUp);
        return chosen;
      };
      let chosen = await ask(false, null);
      if (chosen.code === 'seed') {
        const seed = await this.#memories.seed(userId);
        if (seed === 'away') throw unavailable();
        chosen = await ask(false, seed);
      }
      if (chosen.code === 'clear') {
        await clearHidden(db, userId, setAt);
        chosen = await ask(true, null);
      }
      // The record vanished between two steps: the caller asks again.
      if (chosen.code !== 'ok') throw unavailable();
      return { userId, status: chosen.status, lastSeen: isoOrNull(chosen.lastSeen) };
    });
  }

  /**
   * What others see beside the status, all of it anew. `restore` brings the caller's session back where Redis has lost
   * it: nobody is to be told that they left.
   */
  async setDetail(userId: string, request: SetDetailRequest, restore: () => Promise<void>): Promise<Detail> {
    const { store, db } = this.#services;
    const { availability, text, emoji, expiresInSeconds } = request;
    const detail = { ...(availability && { availability }), ...(text && { text }), ...(emoji && { emoji }) };
    const expiresInMs = expiresInSeconds === undefined ? null : Math.max(1, Math.round(expiresInSeconds * 1000));
    const setAt = await this.#redisNow();
    return guarded(async () => {
      await saveDetail(db, userId, { detail, expiresInMs, setAt });
      let set = await store.setDetail(userId, { detail, expiresInMs }, null);
      if (set.code === 'seed') {
        await restore();
        const seed = await this.#memories.seed(userId);
        if (seed === 'away') throw unavailable();
        set = await store.setDetail(userId, { detail, expiresInMs }, seed);
      }
      this.followUps.add(set.followUp);
      return detail;
    });
  }

  async logOut(userId: string, sessionId: string | null): Promise<void> {
    if (sessionId !== null) {
      if (!(await this.endSession(userId, sessionId))) throw new RollcallError('SESSION_NOT_FOUND');
      return;
    }
    const { unknown } = await this.#see([userId], null);
    if (unknown.has(userId)) throw new RollcallError('USER_NOT_FOUND');
    await guarded(async () => {
      const { followUp } = await this.#services.store.logOut(userId, null);
      this.followUps.add(followUp);
    });
  }

  /** Signs one session out; with `conn`, only where that connection holds it. False: no such session. */
  async endSession(userId: string, sessionId: string, conn = ''): Promise<boolean> {
    return guarded(async () => {
      const { found, followUp } = await this.#services.store.logOut(userId, sessionId, conn);
      this.followUps.add(followUp);
      return found;
    });
  }

  async sessions(userId: string): Promise<SessionView[]> {
    const { record } = await this.#inspect(userId);
    if (!record) {
      const { unknown } = await this.#see([userId], null);
      if (unknown.has(userId)) throw new RollcallError('USER_NOT_FOUND');
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

  async removeSession(userId: string, sessionId: string): Promise<void> {
    await this.logOut(userId, sessionId);
  }

  async #inspect(userId: string) {
    return guarded(async () => {
      const { record, now, followUp } = await this.#services.store.inspect(userId);
      this.followUps.add(followUp);
      return { record, now };
    });
  }

  /** For a user Redis has no record of: what PostgreSQL remembers. */
  async #lookBack(userId: string, now: number): Promise<Look> {
    const memories = await this.#memories.load([userId], () => false);
    if (memories === null) throw unavailable();
    const memory = memories.get(userId);
    if (!memory) throw new RollcallError('USER_NOT_FOUND');
    const { hidden } = memory;
    if (hidden) {
      const nextChangeAt = hidden.remainingMs === null ? null : iso(now + hidden.remainingMs);
      return { devices: [], detail: {}, why: { rule: 'manual', sessionId: null, since: null, nextChangeAt } };
    }
    const last = await guarded(() => lastTransition(this.#services.db, userId));
    const why = { rule: ruleOfEnd(last?.cause ?? null), sessionId: null, since: isoOrNull(last?.at ?? null) };
    return { devices: [], detail: detailOf(memory) ?? {}, why: { ...why, nextChangeAt: null } };
  }

  async #redisNow(): Promise<number> {
    return guarded(async () => {
      const [seconds = 0, micros = 0] = await this.#services.redis.time();
      return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
    });
  }

  async #see(
    userIds: string[],
    viewerId: string | null,
  ): Promise<Snapshot & { unknown: Set<string>; blind: Set<string> }> {
    const positions = new Map<number, string>();
    const glimpses = await guarded(() =>
      Promise.all(
        [...Map.groupBy(userIds, shardOf)].map(async ([shard, ids]) => {
          const { users, position, followUp } = await this.#services.store.snapshot(shard, ids, viewerId);
          this.followUps.add(followUp);
          positions.set(shard, position);
          return users;
        }),
      ),
    );
    const users: WatchedUser[] = [];
    const asked: Glimpse[] = [];
    const pending: string[] = [];
    const restricted = new Set<string>();
    const blind = new Set<string>();
    const show = (user: WatchedUser, sight: Sight) => {
      if (sight === 'nothing') blind.add(user.userId);
      users.push(visibleTo(sight, user));
    };
    for (const glimpse of glimpses.flat()) {
      if (glimpse.restricted) restricted.add(glimpse.userId);
      if (glimpse.unseeded) pending.push(glimpse.userId);
      // Of whom the viewer may see nothing PostgreSQL is asked too, as it is about somebody who never came.
      else if (glimpse.version === null || glimpse.sight === 'nothing') asked.push(glimpse);
      else show(versioned(glimpse, glimpse.version), glimpse.sight);
    }
    const unknown = new Set<string>();
    // Of whom Redis shows nothing that is all there is to know, and it must not take longer to say so.
    const hidden = new Set(asked.filter((glimpse) => glimpse.sight === 'nothing').map((glimpse) => glimpse.userId));
    const memories = await this.#memories.load(
      asked.map((glimpse) => glimpse.userId),
      (userId) => !hidden.has(userId),
    );
    for (const glimpse of asked) {
      const memory = memories?.get(glimpse.userId);
      if (memory?.privacy) restricted.add(glimpse.userId);
      if (!glimpse.known && memories === null) pending.push(glimpse.userId);
      else {
        if (!glimpse.known && !memory) unknown.add(glimpse.userId);
        show(recalled(glimpse, memory), sightInMemory(glimpse, memory, viewerId));
      }
    }
    return { users, pending, positions, unknown, restricted, blind };
  }
}

function unavailable(cause?: unknown): RollcallError {
  return new RollcallError('UNAVAILABLE', { retryAfterMs: RETRY_AFTER_MS, cause });
}

/** A store that is away is no fault of the caller's and none of ours: it may ask again. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isRedisAway(error) || isConnectionError(error)) throw unavailable(error);
    throw error;
  }
}
