import type { Job } from 'bullmq';
import type { DrainJob } from '../src/queues/jobs.ts';
import { type DeliveryItem, publish } from '../src/redis/delivery.ts';
import type { OutboxEntry } from '../src/redis/outbox.ts';
import type { Services } from '../src/services.ts';
import { drain } from './drain.ts';
import type { WorkerMetrics } from './metrics.ts';

/** Hands a shard's new changes, and the connections to close, to every web process. */
export async function runBroadcast({ outbox, redis, keys }: Services, metrics: WorkerMetrics, job: Job<DrainJob>) {
  const { shard } = job.data;
  return drain(outbox, 'deliver', shard, async (entries) => {
    const items = entries.map(toItem).filter((item) => item !== null);
    if (items.length > 0) await publish(redis, keys, { shard, items });
    metrics.delivered(entries);
  });
}

function toItem(entry: OutboxEntry): DeliveryItem | null {
  if (entry.kind === 'change') return { id: entry.id, kind: 'change', change: entry.change };
  if (entry.kind === 'close') return { id: entry.id, kind: 'close', conns: entry.conns, reason: entry.reason };
  if (entry.kind === 'indicator' || entry.kind === 'expelled' || entry.kind === 'alert') return entry;
  return null;
}
