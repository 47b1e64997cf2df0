import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startRedis } from '../../../scripts/embedded/redis.ts';
import type { EmbeddedRedis } from '../../../scripts/embedded/stores.ts';
import { Link } from '../../support/link.ts';
import type { Disturbances, Span } from './spans.ts';

/** A loss of what Redis held: all of it, what a replica had not heard of yet, or what came after its last dump. */
export interface Loss extends Span {
  how: 'emptied' | 'failed over' | 'rolled back';
}

/** What the primary held at some moment. */
export interface Dump {
  of: EmbeddedRedis;
  at: number;
  folder: string;
  content: Buffer;
}

/**
 * The primary that everybody is led to, and a replica of it that follows over a link of its own. After a failover the two
 * have changed places, behind the same addresses.
 */
export class RedisPair {
  readonly losses: Loss[] = [];
  #primary: EmbeddedRedis;
  #replica: EmbeddedRedis;
  readonly #replication: Link;
  readonly #links: Link[] = [];
  readonly #disturbances: Disturbances;
  #lossFrom: number | null = null;

  private constructor(primary: EmbeddedRedis, replica: EmbeddedRedis, replication: Link, disturbances: Disturbances) {
    this.#primary = primary;
    this.#replica = replica;
    this.#replication = replication;
    this.#disturbances = disturbances;
  }

  static async start(disturbances: Disturbances): Promise<RedisPair> {
    const [primary, replica] = await Promise.all([startRedis({ appendonly: true }), startRedis({ appendonly: true })]);
    const pair = new RedisPair(primary, replica, await Link.to(primary.port), disturbances);
    await pair.#follow();
    return pair;
  }

  get port(): number {
    return this.#primary.port;
  }

  get pids(): number[] {
    try {
      return [this.#primary.pid];
    } catch {
      return [];
    }
  }

  /** A new link that leads to the primary, whichever that is. */
  async link(): Promise<Link> {
    const link = await Link.to(this.#primary.port);
    this.#links.push(link);
    return link;
  }

  async freeze(): Promise<void> {
    this.#disturbances.begin('redis');
    await this.#primary.kill('SIGSTOP');
  }

  async thaw(): Promise<void> {
    await this.#primary.kill('SIGCONT');
    this.#disturbances.end('redis');
  }

  /** `kill`: as a crash does; else in order. Its data stays. */
  async stopPrimary(kill: boolean): Promise<void> {
    this.#disturbances.begin('redis');
    if (kill) await this.#primary.kill('SIGKILL');
    else await this.#primary.shutdown();
  }

  async startPrimary(): Promise<void> {
    await this.#primary.start();
    this.#disturbances.end('redis');
  }

  async restartEmpty(): Promise<void> {
    this.#disturbances.begin('redis');
    const from = Date.now();
    await this.#primary.restart({ empty: true });
    this.losses.push({ from, to: Date.now(), how: 'emptied' });
    this.#disturbances.end('redis');
  }

  /** FLUSHALL: the store is empty, the connections stay. */
  async flush(): Promise<void> {
    const from = Date.now();
    await this.#ask(this.#primary, (redis) => redis.flushall());
    this.losses.push({ from, to: Date.now(), how: 'emptied' });
  }

  /** From here on the replica hears nothing: what is acknowledged now will be lost. */
  isolateReplica(): void {
    this.#lossFrom = Date.now();
    this.#replication.cut();
  }

  /** The primary is gone for good, and the replica takes its place with what it has heard. */
  async failOver(): Promise<void> {
    const from = this.#lossFrom ?? Date.now();
    this.#lossFrom = null;
    this.#disturbances.begin('redis');
    const [dead, heir] = [this.#primary, this.#replica];
    await dead.kill('SIGKILL');
    await this.#ask(heir, (redis) => redis.replicaof('NO', 'ONE'));
    this.#primary = heir;
    this.#replica = dead;
    for (const link of this.#links) {
      link.lead(heir.port);
      link.break();
    }
    this.losses.push({ from, to: Date.now(), how: 'failed over' });
    this.#disturbances.end('redis');
  }

  /** A dump, as Redis makes one now and then by itself. */
  async dump(): Promise<Dump> {
    const of = this.#primary;
    const at = Date.now();
    return this.#ask(of, async (redis) => {
      await redis.save();
      const [, folder = ''] = (await redis.config('GET', 'dir')) as string[];
      return { of, at, folder, content: await readFile(join(folder, 'dump.rdb')) };
    });
  }

  /** The primary crashes and comes back with that dump alone. Nothing happens where another is the primary by now. */
  async rollBack({ of, at, folder, content }: Dump): Promise<void> {
    if (of !== this.#primary) return;
    this.#disturbances.begin('redis');
    await of.kill('SIGKILL');
    await rm(join(folder, 'appendonlydir'), { recursive: true, force: true });
    // A dump is how an append-only file begins; on its own it would not be read where such files are kept.
    await writeFile(join(folder, 'appendonly.aof'), content);
    await of.start();
    this.losses.push({ from: at, to: Date.now(), how: 'rolled back' });
    this.#disturbances.end('redis');
  }

  /** Both up, and the replica follows. */
  async mend(): Promise<void> {
    this.#lossFrom = null;
    await this.#primary.start();
    await this.#primary.kill('SIGCONT');
    this.#disturbances.end('redis');
    await this.#follow();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#primary.stop(), this.#replica.stop()]);
    await this.#replication.close();
  }

  async #follow(): Promise<void> {
    this.#replication.mend();
    this.#replication.lead(this.#primary.port);
    await this.#replica.start();
    await this.#ask(this.#primary, (redis) => redis.config('SET', 'repl-diskless-sync-delay', '0'));
    await this.#ask(this.#replica, (redis) => redis.replicaof('127.0.0.1', this.#replication.port));
    await this.#ask(this.#replica, async (redis) => {
      for (const until = Date.now() + 60_000; Date.now() < until; ) {
        if ((await redis.info('replication')).includes('master_link_status:up')) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error('The replica does not follow');
    });
  }

  async #ask<T>(server: EmbeddedRedis, question: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(server.port, '127.0.0.1', { maxRetriesPerRequest: 5 });
    redis.on('error', () => {});
    try {
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  }
}
