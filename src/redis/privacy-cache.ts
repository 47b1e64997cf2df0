import type { FollowUp } from '../presence/follow-up.ts';
import type { Difference, Openness, Privacy, PrivacyStep, Ties } from '../presence/visibility.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, SHARDS, shardOf } from './keys.ts';
import { PresenceScripts, storedArgument } from './presence-scripts.ts';
import type { Stored } from './presence-types.ts';
import { CODE_OF, lastSeenCode, opennessOf } from './privacy.ts';
import { runScript } from './scripts.ts';

/** What is staged is put in place within this time, or staged anew. */
const STAGED_MS = 60_000;
const PAGE = 500;

/** Lists that are staged in Redis, and how many entries they have. */
export interface Staged {
  token: string;
  size: number;
}

/**
 * `stored`: Redis has no record of the user, and PostgreSQL has to be asked first. `whole`: Redis does not have what the
 * differences are from, so the whole lists are needed. `old`: what stands here is newer.
 */
export interface PrivacySet {
  code: 'ok' | 'stored' | 'whole' | 'old';
  /** Revision that Redis has. */
  revision: number;
  followUp: FollowUp;
}

/** What Redis goes by for a user: '0' open, a revision, '?' not known; '' no record. And the revision in the cache, 0: none. */
export interface CachedPrivacy {
  mark: string;
  revision: number;
}

/**
 * What Redis keeps of who may see whom, so that telling goes on without PostgreSQL (lua/lib-privacy.lua). It is a cache that
 * knows when it does not know. Errors are those of ioredis where Redis is away.
 */
export class PrivacyCache {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #scripts: PresenceScripts;

  constructor(redis: RedisClient, keys: Keys, clock: RedisClock, ttlMs: number, tracing: Tracing) {
    this.#redis = redis;
    this.#keys = keys;
    this.#scripts = new PresenceScripts(redis, keys, clock, ttlMs, tracing);
  }

  /**
   * Tells Redis who may see the user. `step` is what was done just now, null where nothing was: then only what Redis
   * had wrong is told to others. `staged` holds the whole lists; `stored` is what PostgreSQL has of a user of whom
   * Redis has no record. The caller owes the follow-up to the queues.
   */
  async set(
    userId: string,
    privacy: Privacy,
    step: PrivacyStep | null,
    staged: Staged | null,
    stored: Stored | null,
  ): Promise<PrivacySet> {
    const shard = shardOf(userId);
    const wanted = {
      revision: privacy.revision,
      v: CODE_OF[privacy.visibility],
      l: lastSeenCode(privacy),
      open: privacy.open,
      previous: step?.previous ?? 0,
      wasOpen: step?.wasOpen ?? false,
      change: step !== null,
      own: step?.own ?? false,
      ...coded('f', step?.friends),
      ...coded('b', step?.blocks),
    };
    const { reply, followUp } = await this.#scripts.run('set-privacy', shard, [
      userId,
      JSON.stringify(wanted),
      staged ? this.#keys.stagedPrivacy(shard, staged.token) : '',
      staged?.size ?? 0,
      storedArgument(stored),
    ]);
    return { code: reply[1] as PrivacySet['code'], revision: Number(reply[2]), followUp };
  }

  /** Adds a page of a list to what is staged for a user under a token that nobody else has. */
  async stage(userId: string, token: string, list: 'friends' | 'blocks', ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const key = this.#keys.stagedPrivacy(shardOf(userId), token);
    const prefix = list === 'friends' ? 'f:' : 'b:';
    await runScript(this.#redis, 'stage-privacy', [key], [STAGED_MS, ...ids.map((id) => prefix + id)]);
  }

  /** What the user allows, and what is between the user and each of these viewers, in their order; null: not known here. */
  async relations(userId: string, viewerIds: readonly string[]): Promise<(Openness & { relations: Ties[] }) | null> {
    const reply = await this.#scripts.read('relations', shardOf(userId), [userId, ...viewerIds]);
    if (reply.length === 0) return null;
    const [visibility, lastSeen, ...relations] = reply;
    return {
      ...opennessOf(visibility, lastSeen),
      relations: relations.map((bits) => ({ friend: (Number(bits) & 1) !== 0, blocked: (Number(bits) & 2) !== 0 })),
    };
  }

  /** What Redis goes by for these users, in their order. */
  cached(userIds: readonly string[]): Promise<CachedPrivacy[]> {
    return Promise.all(
      userIds.map(async (userId) => {
        const [record, revision] = await Promise.all([
          this.#redis.hmget(this.#keys.record(userId), 'v', 'r').catch(nothingOfAnotherForm),
          this.#redis.hget(this.#keys.privacy(userId), 'r').catch(nothingOfAnotherForm),
        ]);
        const [version, mark] = record ?? ['0', null];
        return { mark: version == null ? '' : (mark ?? '?'), revision: Number(revision ?? 0) };
      }),
    );
  }

  /** Notes users as restricted, so that nobody takes the loss of what decides for there being nothing. */
  async noteRestricted(userIds: readonly string[]): Promise<void> {
    const byKey = Map.groupBy(userIds, (userId) => this.#keys.restricted(shardOf(userId)));
    await Promise.all([...byKey].map(([key, ids]) => this.#redis.sadd(key, ...ids)));
  }

  /** Notes that everybody who ever restricted anything has been noted: of everybody else it is certain that they did not. */
  async noteAllRestricted(): Promise<void> {
    await Promise.all(this.#restrictedKeys().map((key) => this.#redis.sadd(key, '')));
  }

  /** The ids of all who are noted as restricted, a page at a time. */
  async *restricted(): AsyncGenerator<string[]> {
    for (const key of this.#restrictedKeys()) {
      let cursor = '0';
      do {
        const [next, members] = await this.#redis.sscan(key, cursor, 'COUNT', PAGE);
        cursor = next;
        const userIds = members.filter((member) => member !== '');
        if (userIds.length > 0) yield userIds;
      } while (cursor !== '0');
    }
  }

  #restrictedKeys(): string[] {
    return [...new Set(Array.from({ length: SHARDS }, (_, shard) => this.#keys.restricted(shard)))];
  }
}

function coded(code: 'f' | 'b', difference: Difference = { added: [], removed: [] }) {
  return { [`${code}a`]: difference.added, [`${code}r`]: difference.removed };
}

/** Until a release ago a string stood in the key of privacy; and one key that is spoilt is not to stand in the way of a page of them. */
function nothingOfAnotherForm(error: Error): null {
  if (error.message.startsWith('WRONGTYPE')) return null;
  throw error;
}
