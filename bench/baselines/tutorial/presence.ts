import type { Redis } from 'ioredis';
import type { Server } from 'socket.io';

// Who is online, as tutorials keep it: a key that expires for everybody who was heard of.
const ONLINE = 'presence:';
const SEEN = 'last_seen:';
const HIDDEN = 'hidden:';
const EXPIRED = '__keyevent@0__:expired';

export const watchersOf = (userId: string) => `watch:${userId}`;

export interface Status {
  userId: string;
  status: 'active' | 'inactive';
  lastSeen: string | null;
}

export class TutorialPresence {
  readonly #io: Server;
  readonly #redis: Redis;
  readonly #ttlSeconds: number;

  constructor(io: Server, redis: Redis, ttlSeconds: number) {
    this.#io = io;
    this.#redis = redis;
    this.#ttlSeconds = ttlSeconds;
  }

  async came(userId: string): Promise<void> {
    await this.beat(userId);
    this.#tell(this.#io, userId, 'active');
  }

  async beat(userId: string): Promise<void> {
    await this.#redis.setex(ONLINE + userId, this.#ttlSeconds, '1');
  }

  async left(userId: string): Promise<void> {
    await this.#redis.del(ONLINE + userId);
    await this.#redis.set(SEEN + userId, new Date().toISOString());
    this.#tell(this.#io, userId, 'inactive');
  }

  /** Somebody appears inactive, or no longer. */
  async choose(userId: string, status: Status['status']): Promise<void> {
    if (status === 'inactive') await this.#redis.set(HIDDEN + userId, '1');
    else await this.#redis.del(HIDDEN + userId);
    this.#tell(this.#io, userId, status);
  }

  /** Keys that expire are people who fell silent; every process hears of them and tells its own clients. */
  async followExpired(subscriber: Redis): Promise<void> {
    await subscriber.config('SET', 'notify-keyspace-events', 'Ex');
    await subscriber.subscribe(EXPIRED);
    subscriber.on('message', (channel, key) => {
      if (channel !== EXPIRED || !key.startsWith(ONLINE)) return;
      const userId = key.slice(ONLINE.length);
      void this.#redis.set(SEEN + userId, new Date().toISOString());
      this.#tell(this.#io.local, userId, 'inactive');
    });
  }

  async statuses(userIds: string[]): Promise<Status[]> {
    if (userIds.length === 0) return [];
    const online = await this.#redis.mget(userIds.map((userId) => ONLINE + userId));
    const seen = await this.#redis.mget(userIds.map((userId) => SEEN + userId));
    return userIds.map((userId, n) => ({
      userId,
      status: online[n] === null ? 'inactive' : 'active',
      lastSeen: seen[n] ?? null,
    }));
  }

  #tell(io: Pick<Server, 'to'>, userId: string, status: Status['status']): void {
    io.to(watchersOf(userId)).emit('user_status_change', { userId, status, at: Date.now() });
  }
}
