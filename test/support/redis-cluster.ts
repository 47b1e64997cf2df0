import { Redis } from 'ioredis';
import { freePort, reservePort } from '../../scripts/embedded/free-port.ts';
import { startRedis } from '../../scripts/embedded/redis.ts';
import type { EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { eventually } from './eventually.ts';

const SLOTS = 16_384;
const MASTERS = 3;
/** Nodes talk to each other at their port plus this. */
const BUS = 10_000;
/** Out of this range outgoing connections are given their ports. */
const EPHEMERAL = 32_768;

export interface RedisClusterOptions {
  /** Each master has one, which takes over when the master is gone. */
  replicas?: boolean;
  password?: string;
}

/** One server of the cluster. */
export interface ClusterNode {
  server: EmbeddedRedis;
  id: string;
  client: Redis;
}

/** Three masters, each with a third of the slots, and a replica for each where asked for. */
export class RedisCluster {
  readonly nodes: ClusterNode[] = [];
  readonly password: string;

  private constructor(password: string) {
    this.password = password;
  }

  static async start({ replicas = false, password = '' }: RedisClusterOptions = {}): Promise<RedisCluster> {
    const cluster = new RedisCluster(password);
    try {
      const count = replicas ? 2 * MASTERS : MASTERS;
      await Promise.all(Array.from({ length: count }, () => cluster.#add()));
      await cluster.#meet();
      await cluster.#replicate();
      await cluster.settled();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** For REDIS_URL: every node. */
  get url(): string {
    const secret = this.password ? `:${encodeURIComponent(this.password)}@` : '';
    return `redis://${secret}${this.nodes.map(({ server }) => `127.0.0.1:${server.port}`).join(',')}`;
  }

  node(n: number): ClusterNode {
    const node = this.nodes[n];
    if (!node) throw new Error(`The cluster has no node ${n}`);
    return node;
  }

  /** Who serves a slot, as the other nodes see it. */
  async masterOf(slot: number): Promise<ClusterNode> {
    const asked = this.nodes.find(({ client }) => client.status === 'ready') ?? this.node(0);
    const ranges = await asked.client.cluster('SLOTS');
    const [, , serving] = ranges.find(([from, to]) => from <= slot && slot <= to) ?? [];
    const master = this.nodes.find(({ id }) => id === serving?.[2]);
    if (!master) throw new Error(`Nobody serves slot ${slot}`);
    return master;
  }

  /** The server that takes over once this master is gone. */
  async replicaOf(master: ClusterNode): Promise<ClusterNode> {
    const lines = ((await master.client.cluster('NODES')) as string).trim().split('\n');
    const line = lines.find((each) => each.split(' ')[3] === master.id);
    const replica = this.nodes.find(({ id }) => id === line?.split(' ')[0]);
    if (!replica) throw new Error(`${master.id} has no replica`);
    return replica;
  }

  /** The servers that are masters now, as `asked` sees it. */
  async masters(asked: ClusterNode = this.node(0)): Promise<ClusterNode[]> {
    const lines = ((await asked.client.cluster('NODES')) as string).trim().split('\n');
    const ids = lines.filter((line) => / (?:myself,)?master /.test(line)).map((line) => line.split(' ')[0]);
    return this.nodes.filter(({ id }) => ids.includes(id));
  }

  /** Resolves once every node that runs sees all slots served. */
  async settled(): Promise<void> {
    for (const { client } of this.nodes) {
      await eventually(
        async () => (await client.cluster('INFO')) as string,
        (info) => info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${SLOTS}`),
        15_000,
      );
    }
  }

  /**
   * Moves a slot with all that is in it to another master, key by key, as resharding does. `half` is called when half of the
   * keys are over, or all that are to go `first`.
   */
  async moveSlot(
    slot: number,
    to: ClusterNode,
    half: () => Promise<void> = async () => {},
    first: string[] = [],
  ): Promise<number> {
    const from = await this.masterOf(slot);
    await to.client.cluster('SETSLOT', slot, 'IMPORTING', from.id);
    await from.client.cluster('SETSLOT', slot, 'MIGRATING', to.id);
    const all = Number(await from.client.cluster('COUNTKEYSINSLOT', slot));
    let moved = 0;
    for (let told = false; ; ) {
      const early = moved === 0 && first.length > 0;
      const keys = early ? first : ((await from.client.cluster('GETKEYSINSLOT', slot, 10)) as string[]);
      if (keys.length === 0) break;
      await from.client.call(
        'MIGRATE',
        '127.0.0.1',
        to.server.port,
        '',
        0,
        5000,
        ...this.#migrateAuth,
        'KEYS',
        ...keys,
      );
      moved += keys.length;
      if (told || (!early && moved < all / 2)) continue;
      told = true;
      await half();
    }
    for (const node of [to, from]) await node.client.cluster('SETSLOT', slot, 'NODE', to.id);
    return moved;
  }

  /** Stops all servers; with their data and their knowledge of each other they come back by `start`. */
  async shutdown(): Promise<void> {
    await Promise.all(this.nodes.map(({ server }) => server.shutdown()));
  }

  async start(): Promise<void> {
    await Promise.all(this.nodes.map(({ server }) => server.start()));
    await this.settled();
  }

  /** A signal to every server. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    await Promise.all(this.nodes.map(({ server }) => server.kill(signal)));
  }

  async stop(): Promise<void> {
    for (const { client } of this.nodes) client.disconnect();
    await Promise.all(this.nodes.map(({ server }) => server.stop()));
  }

  get #migrateAuth(): string[] {
    return this.password ? ['AUTH', this.password] : [];
  }

  async #add(): Promise<void> {
    const { password } = this;
    const server = await startRedis({
      port: await freePortPair(),
      appendonly: true,
      configuration: [
        'cluster-enabled yes',
        'cluster-node-timeout 1000',
        // What is left of a cluster goes on, and a replica takes over however old its data are.
        'cluster-require-full-coverage no',
        'cluster-replica-validity-factor 0',
        'repl-diskless-sync-delay 0',
        ...(password ? [`masterauth ${password}`, `requirepass ${password}`] : []),
      ],
    });
    const client = new Redis(server.port, '127.0.0.1', {
      maxRetriesPerRequest: null,
      ...(password ? { password } : {}),
    });
    client.on('error', () => {});
    this.nodes.push({ server, client, id: (await client.cluster('MYID')) as string });
  }

  async #meet(): Promise<void> {
    const first = this.node(0);
    for (const [n, { client }] of this.nodes.entries()) {
      await client.cluster('SET-CONFIG-EPOCH', n + 1);
      if (n < MASTERS) {
        const from = Math.floor((n * SLOTS) / MASTERS);
        const slots = Array.from({ length: Math.floor(((n + 1) * SLOTS) / MASTERS) - from }, (_, at) => from + at);
        await client.cluster('ADDSLOTS', ...slots);
      }
      if (n > 0) await client.cluster('MEET', '127.0.0.1', first.server.port);
    }
    for (const { client } of this.nodes) {
      await eventually(
        async () => (await client.cluster('INFO')) as string,
        (info) => info.includes(`cluster_known_nodes:${this.nodes.length}`) && info.includes('cluster_state:ok'),
        15_000,
      );
    }
  }

  async #replicate(): Promise<void> {
    for (const [n, { client }] of this.nodes.entries()) {
      if (n < MASTERS) continue;
      await client.cluster('REPLICATE', this.node(n - MASTERS).id);
      await eventually(
        () => client.info('replication'),
        (info) => info.includes('master_link_status:up'),
        15_000,
      );
    }
  }
}

/** A port whose neighbour for the cluster's own talk is free as well. */
async function freePortPair(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port + BUS < EPHEMERAL && (await reservePort(port + BUS))) return port;
  }
}
