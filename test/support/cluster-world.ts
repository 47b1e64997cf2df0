import { createKeys, SHARDS, shardOf } from '../../src/redis/keys.ts';
import { TestClient } from './client.ts';
import { Deployment } from './deployment.ts';
import { type ClusterNode, RedisCluster, type RedisClusterOptions } from './redis-cluster.ts';

/** Long enough for a machine that is busy, short enough to be waited for. */
export const TTL_MS = 4000;
const BEAT_MS = 700;
const ALL_SHARDS = Array.from({ length: SHARDS }, (_, shard) => shard);

/** Two webs and two workers on a cluster of their own, with a watcher of everybody. */
export class ClusterWorld {
  readonly cluster: RedisCluster;
  readonly rollcall: Deployment;
  readonly #ending: (() => unknown)[] = [];

  private constructor(cluster: RedisCluster, rollcall: Deployment) {
    this.cluster = cluster;
    this.rollcall = rollcall;
  }

  static async open(name: string, options: RedisClusterOptions): Promise<ClusterWorld> {
    const cluster = await RedisCluster.start(options);
    try {
      const rollcall = await Deployment.start(name, {
        redisUrl: cluster.url,
        webs: 2,
        workers: 2,
        env: {
          AUDIENCE: 'watchers',
          PRESENCE_TTL_SECONDS: `${TTL_MS / 1000}`,
          HEARTBEAT_INTERVAL_SECONDS: '1',
          HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
        },
      });
      return new ClusterWorld(cluster, rollcall);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const end of this.#ending.reverse()) await end();
    await this.rollcall.stop();
    await this.cluster.stop();
  }

  /** Ids of `count` users of each of these shards. */
  names(label: string, shards: readonly number[], count = 1): string[] {
    const names: string[] = [];
    for (const shard of shards) {
      for (let n = 0, found = 0; found < count; n++) {
        const userId = `${label}-${n}`;
        if (shardOf(userId) !== shard) continue;
        names.push(userId);
        found++;
      }
    }
    return names;
  }

  async watcher(userIds: string[]): Promise<TestClient> {
    const watcher = await TestClient.connect(this.rollcall.web(1).url, 'the-watcher', { watch: userIds });
    const timer = setInterval(() => void watcher.beat().catch(() => {}), BEAT_MS);
    this.#ending.push(
      () => clearInterval(timer),
      () => watcher.leave(),
    );
    return watcher;
  }

  /** Somebody who beats until `quiet` is called. */
  async person(userId: string, web = 0): Promise<{ client: TestClient; quiet(): void }> {
    const client = await TestClient.connect(this.rollcall.web(web).url, userId, { watch: [] });
    const timer = setInterval(() => void client.beat().catch(() => {}), BEAT_MS);
    const quiet = () => clearInterval(timer);
    this.#ending.push(quiet, () => client.leave());
    return { client, quiet };
  }

  async slotOf(key: string): Promise<number> {
    return Number(await this.cluster.node(0).client.cluster('KEYSLOT', key));
  }

  slotOfShard(shard: number): Promise<number> {
    return this.slotOf(createKeys('', true).due(shard));
  }

  /** The shards that a node serves. */
  async shardsOf(node: ClusterNode): Promise<number[]> {
    const masters = await Promise.all(
      ALL_SHARDS.map(async (shard) => this.cluster.masterOf(await this.slotOfShard(shard))),
    );
    return ALL_SHARDS.filter((shard) => masters[shard] === node);
  }

  /** The slots of what is there once for all: the queues and the delivery stream. */
  async commonSlots(): Promise<number[]> {
    const { delivery, queuePrefix } = createKeys('', true);
    return Promise.all([
      this.slotOf(delivery),
      ...['timeouts', 'broadcasts', 'last-seen'].map((queue) => this.slotOf(`${queuePrefix(queue)}:${queue}:wait`)),
    ]);
  }
}
