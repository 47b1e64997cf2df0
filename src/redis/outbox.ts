import type { Cause, Change, Claims, Detail } from '../presence/change.ts';
import type { TraceContext } from '../telemetry/tracing.ts';
import type { RedisClient } from './connect.ts';
import { compareIds } from './delivery.ts';
import type { IndicatorKind } from './indicators.ts';
import { type Group, type Keys, SHARDS } from './keys.ts';
import { parseBefore } from './privacy.ts';
import { type Reply, runScript } from './scripts.ts';

/** One entry of a shard's outbox: a change to tell, connections to close, or a note for PostgreSQL alone. */
export type OutboxEntry = { id: string; trace?: TraceContext } & (
  | {
      kind: 'change';
      change: Change;
      claims: Claims | null;
      /** Where somebody is back on the same device so soon that they had better not been told away: by what they were. */
      falselyAway: Cause | null;
      /** Where a deadline had passed: how long ago (ms). */
      lateMs: number | null;
    }
  | { kind: 'close'; userId: string; conns: string[]; reason: 'replaced' | 'logout' }
  | { kind: 'note'; userId: string; clearsHidden: boolean; change: Change; claims: Claims | null }
  | { kind: 'indicator'; conversationId: string; userId: string; doing: IndicatorKind; active: boolean }
  | { kind: 'expelled'; conversationId: string; userId: string }
  /** `askerId` is to hear that the user became active, at that moment (ms). */
  | { kind: 'alert'; askerId: string; userId: string; at: number }
  /** Dropped by the cap before it was read. */
  | { kind: 'dropped' }
);

/**
 * `gone`: of the users in these entries those who were erased before, and until when (ms of Redis's clock) nothing that was made
 * of them is to be recorded.
 */
export interface TakenEntries {
  state: 'entries';
  entries: OutboxEntry[];
  gone: ReadonlyMap<string, number>;
}

/** `kept`: there is nothing at present, and the drain stays. */
export type Taken = { state: 'busy' } | { state: 'empty' } | { state: 'kept' } | TakenEntries;

/** Added to a wake-up that was lost with its worker, it has to stay below the two seconds that a dead worker may cost. */
const LEASE_MS = 1000;

function parseEntry(raw: Reply | undefined): OutboxEntry | null {
  if (!Array.isArray(raw)) return null;
  const [id, flat] = raw;
  if (typeof id !== 'string') return null;
  if (!Array.isArray(flat)) return { id, kind: 'dropped' };
  const fields = new Map<string, string>();
  for (let n = 0; n + 1 < flat.length; n += 2) fields.set(String(flat[n]), String(flat[n + 1]));
  const entry = entryOf(id, fields);
  const trace = fields.get('t');
  return trace === undefined ? entry : { ...entry, trace };
}

function entryOf(id: string, fields: ReadonlyMap<string, string>): OutboxEntry {
  const text = (name: string) => fields.get(name) ?? '';
  const userId = text('u');
  if (fields.has('i')) {
    const conversationId = text('i');
    if (fields.has('g')) return { id, kind: 'expelled', conversationId, userId };
    return {
      id,
      kind: 'indicator',
      conversationId,
      userId,
      doing: text('k') as IndicatorKind,
      active: text('s') === '1',
    };
  }
  if (fields.has('f')) return { id, kind: 'alert', askerId: userId, userId: text('f'), at: Number(text('a')) };
  if (fields.has('x')) {
    const reason = text('r') === 'logout' ? 'logout' : 'replaced';
    return { id, kind: 'close', userId, conns: text('x').split(' '), reason };
  }
  const claims = text('m') === '' ? null : (JSON.parse(text('m')) as Claims);
  const change: Change = {
    userId,
    status: text('s') === '1' ? 'active' : 'inactive',
    lastSeen: text('l') === '' ? null : Number(text('l')),
    version: Number(text('v')),
    at: Number(text('a')),
    cause: (fields.get('c') ?? 'logout') as Cause,
    ...(fields.has('d') ? { detail: JSON.parse(text('d')) as Detail } : {}),
    ...(fields.has('p') ? { awaySince: text('p') === '' ? null : Number(text('p')) } : {}),
    ...(fields.has('z') ? { restricted: true } : {}),
    ...(fields.has('b') ? { before: parseBefore(text('b')) } : {}),
  };
  if (fields.has('n')) return { id, kind: 'note', userId, clearsHidden: text('n') === 'clear', change, claims };
  const falselyAway = text('y') === '' ? null : (text('y') as Cause);
  const lateMs = text('o') === '' ? null : Number(text('a')) - Number(text('o'));
  return { id, kind: 'change', change, claims, falselyAway, lateMs };
}

function takenOf([state, raw, erased]: Reply[]): Taken {
  if (state !== 'entries') return { state: state as 'busy' | 'empty' | 'kept' };
  const gone = new Map<string, number>();
  const flat = (erased as Reply[]).map(String);
  for (let n = 0; n + 1 < flat.length; n += 2) gone.set(flat[n] ?? '', Number(flat[n + 1]));
  return { state, entries: (raw as Reply[]).flatMap((entry) => parseEntry(entry) ?? []), gone };
}

/** Draining one shard's outbox for one group: one drain at a time, in order, acknowledged after the effect. */
export class Outbox {
  readonly #redis: RedisClient;
  readonly #keys: Keys;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * Of shards on one node: acknowledges what is `done` of each, and reads up to `count` more. `busy`: another drain holds the
   * shard; `empty`: all is done and the lease is given back, or `kept` by who `stays`, until whose next look no script asks for a
   * wake-up. What an earlier drain left unacknowledged comes first.
   */
  async take(
    group: Group,
    done: ReadonlyMap<number, readonly string[]>,
    { token, count, stays = false }: { token: string; count: number; stays?: boolean },
  ): Promise<Map<number, Taken>> {
    const keys = this.#keys;
    const shards = [...done.keys()];
    const reply = await runScript(
      this.#redis,
      'take-changes',
      shards.flatMap((shard) => [
        keys.outbox(shard),
        keys.lease(group, shard),
        keys.wake(group, shard),
        keys.gone(shard),
      ]),
      [group, token, LEASE_MS, count, stays ? 1 : 0, ...[...done.values()].flatMap((ids) => [ids.length, ...ids])],
    );
    return new Map(shards.map((shard, n) => [shard, takenOf(reply[n] as Reply[])]));
  }

  /** Keeps the lease during a long effect; false: somebody else has taken over. */
  async keepLease(group: Group, shard: number, token: string): Promise<boolean> {
    const reply = await runScript(this.#redis, 'lease', [this.#keys.lease(group, shard)], [token, LEASE_MS]);
    return reply[0] === 1;
  }

  /** Gives the lease back early, so that the next wake-up need not wait for its end. */
  async giveBack(group: Group, shard: number, token: string): Promise<void> {
    await runScript(this.#redis, 'lease', [this.#keys.lease(group, shard)], [token, 0]);
  }

  /** Whether an entry and all before it are recorded. */
  async isRecorded(shard: number, id: string): Promise<boolean> {
    const [read, oldest] = await runScript(this.#redis, 'delivered', [this.#keys.outbox(shard)], ['record']);
    return compareIds(String(read), id) >= 0 && (!oldest || compareIds(String(oldest), id) > 0);
  }

  /** Whether every change that was ever made is recorded. */
  async allRecorded(): Promise<boolean> {
    const waiting = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        runScript(this.#redis, 'backlog', [this.#keys.outbox(shard), this.#keys.unrecorded(shard)], ['record']),
      ),
    );
    return waiting.every((reply) => reply[0] === 0);
  }

  /** What each group has still to do, over all shards: how many entries, and the age of the oldest (ms). */
  async waiting(): Promise<{ group: Group; entries: number; oldestMs: number }[]> {
    const shards = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) => runScript(this.#redis, 'waiting', [this.#keys.outbox(shard)], [])),
    );
    return (['deliver', 'record'] as const).map((group, n) => ({
      group,
      entries: shards.reduce((sum, reply) => sum + Number(reply[2 * n]), 0),
      oldestMs: Math.max(...shards.map((reply) => Number(reply[2 * n + 1]))),
    }));
  }

  /** Some users whose changes were dropped by the cap; their last seen has to be written from the cache. */
  async unrecorded(shard: number, count: number): Promise<string[]> {
    return this.#redis.srandmember(this.#keys.unrecorded(shard), count);
  }

  async markRecorded(shard: number, userIds: string[]): Promise<void> {
    if (userIds.length > 0) await this.#redis.srem(this.#keys.unrecorded(shard), ...userIds);
  }
}
