import { Cluster } from 'ioredis';
import { type Absence, RedisRefused } from './absence.ts';
import type { RedisClient } from './connect.ts';

/**
 * A Redis that answers and refuses is an absent one, whole: some scripts would still pass where it is full (those that begin
 * with a removal), and what can be read there grows old. So once the pulse of a process was refused, all its scripts are,
 * without asking, until the pulse is taken again, over any new connection as well; then expiry is on hold before anything
 * else happens.
 */
const refusing = new WeakMap<RedisClient, Map<string, Absence>>();

/** On a single Redis everything goes by one gate; in a cluster each shard, known by its hash tag, has its own. */
function gateOf(redis: RedisClient, key: string): string {
  return redis instanceof Cluster ? (/\{(s\d+)\}/.exec(key)?.[1] ?? '') : '';
}

/** Refuses from now on, without asking, every script that asks for what lies where `key` lies; `absence` null: no more. */
export function setRefusal(redis: RedisClient, key: string, absence: Absence | null): void {
  const gates = refusing.get(redis) ?? new Map<string, Absence>();
  refusing.set(redis, gates);
  if (absence === null) gates.delete(gateOf(redis, key));
  else gates.set(gateOf(redis, key), absence);
}

/** Throws RedisRefused where Redis takes nothing at present for one of these keys. */
export function throwIfRefused(redis: RedisClient, keys: readonly string[]): void {
  const gates = refusing.get(redis);
  if (!gates || gates.size === 0) return;
  const absence = gates.get(gateOf(redis, keys[0] ?? ''));
  if (absence) throw new RedisRefused(absence);
}
