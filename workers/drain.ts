import { randomUUID } from 'node:crypto';
import type { Group } from '../src/redis/keys.ts';
import type { Outbox, TakenEntries } from '../src/redis/outbox.ts';

const AT_ONCE = 1000;
const LEAST_AT_ONCE = 100;
const KEEP_LEASE_EVERY_MS = 300;

/** What is done with what the shards had, at once. */
export type Effect = (taken: ReadonlyMap<number, TakenEntries>) => Promise<void>;

/**
 * Drains some shards of a node for one group: effect first, acknowledgement after. A drain that dies leaves its entries pending,
 * and the next one begins with them. Where another drain is at work on a shard this one has nothing to do there: that one
 * looks again after its last entry, in the same step in which it lets go of the shard.
 */
export async function drain(
  outbox: Outbox,
  group: Group,
  shards: readonly number[] | undefined,
  effect: Effect,
): Promise<{ entries: number; drained: number[] }> {
  const token = randomUUID();
  const drained: number[] = [];
  let entries = 0;
  // A wake-up whose data its store has lost names no shards. The sweep wakes every shard that has something.
  let open = new Map((shards ?? []).map((shard): [number, string[]] => [shard, []]));
  const count = Math.max(LEAST_AT_ONCE, Math.ceil(AT_ONCE / Math.max(1, open.size)));
  while (open.size > 0) {
    const taken = new Map<number, TakenEntries>();
    for (const [shard, step] of await outbox.take(group, open, { token, count })) {
      if (step.state === 'entries') taken.set(shard, step);
      else if (step.state === 'empty') drained.push(shard);
    }
    if (taken.size > 0) await withLeases(outbox, group, token, taken, effect);
    open = new Map([...taken].map(([shard, step]) => [shard, step.entries.map((entry) => entry.id)]));
    for (const ids of open.values()) entries += ids.length;
  }
  return { entries, drained };
}

async function withLeases(
  outbox: Outbox,
  group: Group,
  token: string,
  taken: ReadonlyMap<number, TakenEntries>,
  effect: Effect,
): Promise<void> {
  const keeping = setInterval(() => {
    for (const shard of taken.keys()) outbox.keepLease(group, shard, token).catch(() => {});
  }, KEEP_LEASE_EVERY_MS);
  try {
    await effect(taken);
  } catch (error) {
    await Promise.all([...taken.keys()].map((shard) => outbox.giveBack(group, shard, token).catch(() => {})));
    throw error;
  } finally {
    clearInterval(keeping);
  }
}
