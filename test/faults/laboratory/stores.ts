import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type pg from 'pg';
import { type MaintenanceJobName, timeoutJobId } from '../../../src/queues/jobs.ts';
import type { Finding, Recorded } from './checks.ts';
import { OPEN_TO_ALL, type Setting } from './privacy-record.ts';
import type { World } from './world.ts';

/** The states in which a job is still to come. */
const COMING = new Set(['delayed', 'waiting', 'active', 'prioritized']);

export interface Row {
  userId: string;
  status: 'active' | 'inactive';
  lastSeen: number | null;
}

/** What PostgreSQL holds, read past all links. */
export async function readPostgres(world: World): Promise<{ users: Map<string, Row>; transitions: Recorded[] }> {
  const client = await world.connectPostgres();
  try {
    const users = await client.query('SELECT id, status, last_seen FROM users');
    const transitions = await client.query(
      'SELECT user_id, version, status, at, last_seen FROM status_transitions ORDER BY version',
    );
    const rowOf = (row: { id: string; status: Row['status']; last_seen: Date | null }): [string, Row] => [
      row.id,
      { userId: row.id, status: row.status, lastSeen: row.last_seen?.getTime() ?? null },
    ];
    return {
      users: new Map(users.rows.map(rowOf)),
      transitions: transitions.rows.map((row) => ({
        userId: row.user_id,
        version: Number(row.version),
        status: row.status,
        at: row.at.getTime(),
        lastSeen: row.last_seen?.getTime() ?? null,
      })),
    };
  } finally {
    await client.end();
  }
}

/** What a source says of a user, as PostgreSQL has it. */
export interface SourceRow {
  userId: string;
  source: string;
  text: string | null;
}

/** All that sources say of these users by now. */
export async function readSources(world: World, userIds: readonly string[]): Promise<SourceRow[]> {
  const client = await world.connectPostgres();
  try {
    const { rows } = await client.query(
      `SELECT user_id, source, detail ->> 'text' AS text FROM detail_sources
        WHERE user_id = ANY($1) AND (until IS NULL OR until > now())`,
      [userIds],
    );
    return rows.map((row) => ({ userId: row.user_id, source: row.source, text: row.text }));
  } finally {
    await client.end();
  }
}

/** Who allows what to whom, and who is in a conversation, as PostgreSQL has it. */
export interface Rows {
  settingOf(userId: string): Setting;
  blocks(userId: string, other: string): boolean;
  areFriends(userId: string, other: string): boolean;
  isMember(userId: string): boolean;
}

export async function readRows(client: pg.Client, conversationId: string): Promise<Rows> {
  const settings = await client.query('SELECT user_id, visibility, last_seen_visibility FROM user_settings');
  const blocks = await client.query('SELECT user_id, blocked_id FROM blocks');
  const friends = await client.query('SELECT user_id, friend_id FROM friendships');
  const members = await client.query('SELECT user_id FROM conversation_members WHERE conversation_id = $1', [
    conversationId,
  ]);
  const allowed = new Map<string, Setting>(
    settings.rows.map((row) => [row.user_id, `${row.visibility} ${row.last_seen_visibility}` as Setting]),
  );
  const [blocked, befriended, inside] = [blocks, friends, members].map(
    ({ rows }) => new Set(rows.map((row) => Object.values(row).join(' '))),
  );
  return {
    settingOf: (userId) => allowed.get(userId) ?? OPEN_TO_ALL,
    blocks: (userId, other) => blocked?.has(`${userId} ${other}`) ?? false,
    areFriends: (userId, other) => befriended?.has(`${userId} ${other}`) ?? false,
    isMember: (userId) => inside?.has(userId) ?? false,
  };
}

/** Looks at `users.last_seen` of some users again and again, for it must never go backwards. */
export class LastSeenWatch {
  readonly findings: Finding[] = [];
  readonly #world: World;
  readonly #userIds: Set<string>;
  readonly #latest = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(world: World, userIds: string[]) {
    this.#world = world;
    this.#userIds = new Set(userIds);
  }

  start(): void {
    this.#timer = setInterval(() => void this.#look(), 500);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#world.disturbances.isOn('postgres')) return;
    this.#looking = true;
    try {
      const { users } = await readPostgres(this.#world);
      for (const { userId, lastSeen } of users.values()) {
        if (!this.#userIds.has(userId)) continue;
        const before = this.#latest.get(userId);
        if (before !== undefined && (lastSeen === null || lastSeen < before)) {
          const text = `The last seen of ${userId} in PostgreSQL went back from ${before} to ${lastSeen}`;
          this.findings.push({ kind: 'last seen', text });
        }
        if (lastSeen !== null) this.#latest.set(userId, lastSeen);
      }
    } catch {
      // It was stopped while it was asked.
    } finally {
      this.#looking = false;
    }
  }
}

/** Runs a job of maintenance now, instead of when its turn comes. */
export async function maintain(redis: Redis, name: MaintenanceJobName): Promise<void> {
  const queue = new Queue('maintenance', { connection: redis, prefix: 'bull' });
  queue.on('error', () => {});
  await queue.add(name, {});
  await queue.close();
}

/** Whom of those who are here no timeout job is coming for. */
export async function withoutJob(world: World, redis: Redis, userIds: string[]): Promise<string[]> {
  const queue = new Queue('timeouts', { connection: redis, prefix: 'bull' });
  queue.on('error', () => {});
  const missing: string[] = [];
  for (const userId of userIds) {
    const number = await redis.hget(world.keys.record(userId), 'j');
    const state = number === null ? 'none' : await queue.getJobState(timeoutJobId('check', userId, number));
    if (!COMING.has(state)) missing.push(`${userId} (job ${number ?? 'none'}: ${state})`);
  }
  await queue.close();
  return missing;
}

/** What is left in Redis once everybody has gone; nothing where it is as it should be. */
export async function leftovers(world: World, redis: Redis): Promise<string[]> {
  const left: string[] = [];
  const restricted = await whoseSightIsRestricted(world);
  const delayed = await redis.zrange('bull:timeouts:delayed', '0', '-1');
  for (const id of delayed) left.push(`the timeout job ${id}`);
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'COUNT', 500);
    cursor = next;
    for (const key of keys) {
      const problem = await problemOf(redis, key, restricted);
      if (problem) left.push(problem);
    }
  } while (cursor !== '0');
  for (let shard = 0; shard < 16; shard++) {
    const length = await redis.xlen(world.keys.outbox(shard));
    // The oldest entry that is done stays until the next one is.
    if (length > 1) left.push(`${length} entries in the outbox of shard ${shard}`);
  }
  return left;
}

async function whoseSightIsRestricted(world: World): Promise<Set<string>> {
  const client = await world.connectPostgres();
  try {
    const { rows } = await client.query(
      `SELECT user_id AS id FROM user_settings WHERE visibility <> 'everyone' OR last_seen_visibility <> 'everyone'
        UNION SELECT user_id FROM blocks UNION SELECT blocked_id FROM blocks`,
    );
    return new Set(rows.map(({ id }) => id));
  } finally {
    await client.end();
  }
}

async function problemOf(redis: Redis, key: string, restricted: Set<string>): Promise<string | null> {
  if (key.startsWith('bull:')) return null;
  if (key.startsWith('user:last_seen:')) return null;
  const [, userId] = /^user:privacy:(.*)$/.exec(key) ?? [];
  if (userId !== undefined && restricted.has(userId)) return null;
  if (
    /^(user:(privacy|looks|looked)|presence:looking|privacy:staged|conversation:\w+|presence:(limit|members|members-removed)):/.test(
      key,
    )
  )
    return (await redis.ttl(key)) > 0 ? null : `${key}, which never ends`;
  if (
    /^(user:(sessions|signed_out)|presence:erased|room:state|presence:rooms-(left|said)):|^presence:rooms-unsettled$/.test(
      key,
    )
  )
    return (await redis.ttl(key)) > 0 ? null : `${key}, which never ends`;
  if (
    /^users:restricted$|^presence:(outbox:s\d+|\{delivery\}(:count)?|pulse|server|holds?|epoch|settled|wake-\w+:s\d+|seen:s\d+|seen-completed|lease-.*)$/.test(
      key,
    )
  )
    return null;
  const members = (await redis.type(key)) === 'zset' ? ` with ${await redis.zrange(key, '0', '3')}` : '';
  return `${key}${members}`;
}

/** Every timeout job is gone, as after a hand that slipped on the board. */
export async function dropTimeoutJobs(world: World): Promise<void> {
  const redis = world.inspector();
  const ids = await redis.zrange('bull:timeouts:delayed', '0', '-1');
  await redis.del('bull:timeouts:delayed', ...ids.map((id) => `bull:timeouts:${id}`));
  redis.disconnect();
}
