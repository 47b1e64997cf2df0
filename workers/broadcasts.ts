import type { Job } from 'bullmq';
import type { DrainJob } from '../src/queues/jobs.ts';
import { type DeliveryItem, publish } from '../src/redis/delivery.ts';
import type { OutboxEntry } from '../src/redis/outbox-entry.ts';
import type { Stores } from '../src/stores.ts';
import { ending, type TraceContext } from '../src/telemetry/tracing.ts';
import type { Drains } from './drain.ts';
import type { WorkerMetrics } from './metrics.ts';
import type { RoomFollower } from './rooms.ts';

/**
 * Hands the new changes of some shards, and the connections to close, to every web process; and brings the lists of rooms up to what is
 * told of users.
 */
export async function runBroadcast(
  { redis, keys, tracing }: Stores,
  drains: Drains,
  rooms: RoomFollower,
  metrics: WorkerMetrics,
  job: Job<DrainJob>,
) {
  return drains.drain(job.data.shards, async (taken) => {
    const steps = [...taken].map(([shard, { entries }]) => ({
      shard,
      entries,
      step: tracing.step('broadcast', entries),
    }));
    const batches = steps.map(({ shard, entries, step }) => {
      return { shard, items: entries.flatMap((entry) => toItem(entry, step.below(entry.trace)) ?? []) };
    });
    const told = batches.filter(({ items }) => items.length > 0);
    const published = told.length > 0 ? publish(redis, keys, ...told) : Promise.resolve();
    const followed = rooms.follow(steps.flatMap(({ entries }) => entries));
    await Promise.all([followed, ...steps.map(({ step }) => ending(step, () => published))]);
    for (const { entries } of steps) metrics.delivered(entries);
  });
}

function toItem(entry: OutboxEntry, trace: TraceContext | undefined): DeliveryItem | null {
  const item = { id: entry.id, ...(trace === undefined ? {} : { trace }) };
  if (entry.kind === 'change') return { ...item, kind: 'change', change: entry.change };
  if (entry.kind === 'close') return { ...item, kind: 'close', conns: entry.conns, reason: entry.reason };
  if (entry.kind === 'indicator' || entry.kind === 'expelled' || entry.kind === 'alert') return { ...entry, ...item };
  if (entry.kind === 'put_out') return { ...entry, ...item };
  if (entry.kind === 'room' && entry.what !== 'occupied' && entry.what !== 'vacated') {
    const { sequence, ...happening } = entry;
    return { ...happening, ...item };
  }
  return null;
}
