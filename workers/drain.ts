import { randomUUID } from 'node:crypto';
import type { Group } from '../src/redis/keys.ts';
import type { Outbox, OutboxEntry } from '../src/redis/outbox.ts';

const AT_ONCE = 500;
const KEEP_LEASE_EVERY_MS = 300;

export type Effect = (entries: OutboxEntry[]) => Promise<void>;

/**
 * Drains one shard for one group: effect first, acknowledgement after. A drain that dies leaves its entries pending,
 * and the next one begins with them. Where another drain is at work this one has nothing to do: that one looks again
 * after its last entry, in the same step in which it lets go of the shard.
 */
export async function drain(
  outbox: Outbox,
  group: Group,
  shard: number,
  effect: Effect,
): Promise<{ entries: number; busy: boolean }> {
  // A wake-up whose data its store has lost. The sweep wakes every shard that has something.
  if (!Number.isInteger(shard)) return { entries: 0, busy: false };
  const token = randomUUID();
  let done: string[] = [];
  let count = 0;
  for (let first = true; ; first = false) {
    const taken = await outbox.take(group, shard, { token, count: AT_ONCE, first, done });
    if (taken.state !== 'entries') return { entries: count, busy: taken.state === 'busy' };
    const keeping = setInterval(() => {
      outbox.keepLease(group, shard, token).catch(() => {});
    }, KEEP_LEASE_EVERY_MS);
    try {
      await effect(taken.entries);
    } catch (error) {
      await outbox.giveBack(group, shard, token).catch(() => {});
      throw error;
    } finally {
      clearInterval(keeping);
    }
    done = taken.entries.map((entry) => entry.id);
    count += done.length;
  }
}
