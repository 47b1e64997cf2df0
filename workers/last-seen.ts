import type { Job } from 'bullmq';
import type { Config } from '../src/config/config.ts';
import type { Logger } from '../src/log.ts';
import { markLoss } from '../src/postgres/change-feed.ts';
import { isConnectionError } from '../src/postgres/errors.ts';
import { type RecordedEntry, recordChanges } from '../src/postgres/history.ts';
import { recordRooms } from '../src/postgres/rooms-told.ts';
import { touchLastSeen } from '../src/postgres/users.ts';
import { type Cause, NO_TRANSITION } from '../src/presence/change.ts';
import type { DrainJob, RejectedJob } from '../src/queues/jobs.ts';
import { shardOf } from '../src/redis/keys.ts';
import type { OutboxEntry } from '../src/redis/outbox-entry.ts';
import type { Stores } from '../src/stores.ts';
import { ending } from '../src/telemetry/tracing.ts';
import { scheduleAlerts } from './alerts.ts';
import type { Drains } from './drain.ts';
import { erase } from './erasure.ts';

const UNRECORDED_AT_ONCE = 500;
const NO_TRANSITIONS = new Set<Cause>(NO_TRANSITION);

/**
 * Writes the changes of some shards to PostgreSQL, one statement a batch. While PostgreSQL is away the entries wait in the
 * outbox, and the sweep wakes this job again and again.
 */
export async function runLastSeen(
  stores: Stores,
  drains: Drains,
  config: Config,
  log: Logger,
  job: Job<DrainJob | RejectedJob>,
) {
  if (job.name === 'rejected') return retryRejected(stores, job as Job<RejectedJob>);
  const { shards } = job.data as DrainJob;
  try {
    const result = await drains.drain(shards, async (taken) => {
      const entries = [...taken.values()].flatMap((step) => step.entries);
      const goneUntil = new Map([...taken.values()].flatMap((step) => [...step.gone]));
      await ending(stores.tracing.step('record', entries), () => record(stores, log, entries, goneUntil));
      const changes = entries.flatMap((entry) => (entry.kind === 'change' ? [entry.change] : []));
      await scheduleAlerts(stores, config, changes);
    });
    await Promise.all(result.drained.map((shard) => recordDropped(stores, shard)));
    return result;
  } catch (error) {
    if (!isConnectionError(error)) throw error;
    return { waiting: 'PostgreSQL is away' };
  }
}

/** `goneUntil`: who was erased, and until when what was made of them goes with the rest; more may be in the entries. */
async function record(
  stores: Stores,
  log: Logger,
  entries: OutboxEntry[],
  goneUntil: Map<string, number>,
): Promise<void> {
  let batch: RecordedEntry[] = [];
  const loggedOut: { userId: string; version: number }[] = [];
  for (const entry of entries) {
    if (entry.kind !== 'change' && entry.kind !== 'note') continue;
    if (entry.change.cause === 'erased') {
      // Behind all that was recorded before, and before all that is recorded of somebody who comes back.
      await recordOrReject(stores, log, batch);
      batch = [];
      const until = await erase(stores, entry.change);
      if (until === null) goneUntil.delete(entry.change.userId);
      else goneUntil.set(entry.change.userId, until);
      continue;
    }
    // It would make them known again.
    if (entry.change.at <= (goneUntil.get(entry.change.userId) ?? 0)) continue;
    const clearsHidden = entry.kind === 'note' && entry.clearsHidden;
    batch.push({
      change: entry.change,
      ...(entry.claims ? { claims: entry.claims } : {}),
      clearsHidden,
      transition: entry.kind === 'change' && !NO_TRANSITIONS.has(entry.change.cause),
    });
    if (clearsHidden) loggedOut.push({ userId: entry.userId, version: entry.change.version });
  }
  await recordOrReject(stores, log, batch);
  await recordRooms(stores.db, entries.flatMap(ofRoom));
  for (const [shard, users] of Map.groupBy(loggedOut, ({ userId }) => shardOf(userId))) {
    await stores.store.dropCached(shard, users);
  }
}

function ofRoom(entry: OutboxEntry): { roomId: string; occupied: boolean; version: number }[] {
  if (entry.kind !== 'room' || (entry.what !== 'occupied' && entry.what !== 'vacated')) return [];
  return [{ roomId: entry.roomId, occupied: entry.what === 'occupied', version: entry.version }];
}

/** A batch that PostgreSQL refuses for its data is halved until the refused row stands alone; that one is put aside. */
async function recordOrReject(stores: Stores, log: Logger, batch: RecordedEntry[]): Promise<void> {
  if (batch.length === 0) return;
  try {
    await recordChanges(stores.db, batch);
  } catch (error) {
    if (isConnectionError(error)) throw error;
    const [only] = batch;
    if (batch.length === 1 && only) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error(
        { userId: only.change.userId, reason },
        'PostgreSQL refused a row; it waits among the failed last-seen jobs',
      );
      await stores.queues.addRejected({ entry: only, reason });
      return;
    }
    const middle = batch.length >> 1;
    await recordOrReject(stores, log, batch.slice(0, middle));
    await recordOrReject(stores, log, batch.slice(middle));
  }
}

/** First run: fails at once, which is what puts the row on the board. A retry from there writes it. */
async function retryRejected({ db }: Stores, job: Job<RejectedJob>) {
  if (job.attemptsMade === 0 && job.attemptsStarted <= 1) throw new Error(job.data.reason);
  await recordChanges(db, [job.data.entry as RecordedEntry]);
  return { recorded: 1 };
}

/** Users whose changes the outbox had to drop: their history is lost, their last seen is not. */
async function recordDropped({ outbox, records, db }: Stores, shard: number): Promise<void> {
  for (;;) {
    const userIds = await outbox.unrecorded(shard, UNRECORDED_AT_ONCE);
    if (userIds.length === 0) return;
    const lastSeen = await records.lastSeen(userIds);
    await markLoss(db);
    await touchLastSeen(
      db,
      userIds.flatMap((userId, n) => {
        const iso = lastSeen[n];
        return iso ? [{ userId, lastSeen: Date.parse(iso) }] : [];
      }),
    );
    await outbox.markRecorded(shard, userIds);
  }
}
