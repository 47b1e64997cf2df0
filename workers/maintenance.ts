import type { Job } from 'bullmq';
import type { Config } from '../src/config/config.ts';
import { withEndingDetail } from '../src/postgres/detail-sources.ts';
import { isConnectionError } from '../src/postgres/errors.ts';
import { loadStoredUsers, moveLastSeen, recentlyLeft, storedAsActive } from '../src/postgres/users.ts';
import type { StoredSource, StoredUser } from '../src/presence/change.ts';
import type { MaintenanceJobName } from '../src/queues/jobs.ts';
import { SHARDS, shardOf } from '../src/redis/keys.ts';
import type { Stores } from '../src/stores.ts';
import { timeToReturnMs } from '../src/usecases/progress.ts';
import { noteActsLate } from './acts.ts';
import { eraseTraces } from './erasure.ts';
import { compareMemberships } from './memberships.ts';
import { comparePrivacy } from './privacy-comparison.ts';
import { dropOld, preparePartitions } from './retention.ts';
import { completeSeen, pruneSeen } from './seen-index.ts';
import { noteMinute } from './timeline.ts';

const PAGE = 500;
/** Losses that change no epoch (a failover that lost a second) are looked for this often. */
const SETTLE_ANYWAY_EVERY_MS = 10 * 60_000;
const COMPLETE_SEEN_AGAIN_MS = 15_000;

type Work = (stores: Stores, config: Config, job: Job) => Promise<object>;

const WORK: Record<MaintenanceJobName | 'erase-traces' | 'note-acts', Work> = {
  'record-active': recordActive,
  'restore-jobs': restoreJobs,
  'settle-lost': settleLost,
  'compare-privacy': comparePrivacy,
  'complete-seen': completeSeenOn,
  'prune-seen': pruneSeen,
  'note-minute': noteMinute,
  'make-partitions': preparePartitions,
  'drop-old': async (stores, config) => ({
    ...(await dropOld(stores, config)),
    queues: await stores.queues.dropLeft(),
  }),
  'compare-members': compareMemberships,
  'erase-traces': (stores, _, job) => eraseTraces(stores, job),
  'note-acts': (stores, _, job) => noteActsLate(stores, job),
};

/** Runs a job of `maintenance`: slow work in bounded passes, which returns what was done. */
export async function runMaintenance(stores: Stores, config: Config, job: Job) {
  // Another release may have made it.
  if (!Object.hasOwn(WORK, job.name)) return { unknown: job.name };
  try {
    return await WORK[job.name as keyof typeof WORK](stores, config, job);
  } catch (error) {
    // Nobody would make that one again.
    if (!isConnectionError(error) || job.name === 'note-acts') throw error;
    return { waiting: 'PostgreSQL is away' };
  }
}

async function eachPage(stores: Stores, work: (shard: number, userIds: string[]) => Promise<void>): Promise<void> {
  for (let shard = 0; shard < SHARDS; shard++) {
    let cursor = '0';
    do {
      const page = await stores.deadlines.page(shard, cursor, PAGE);
      cursor = page.cursor;
      if (page.userIds.length > 0) await work(shard, page.userIds);
    } while (cursor !== '0');
  }
}

/** What one run could not do is gone on with at once, behind what else waits; what could not be begun a little later. */
async function completeSeenOn(stores: Stores, _: Config, job: Job) {
  const { queues } = stores;
  try {
    const done = await completeSeen(stores);
    if ('upTo' in done) await queues.addCompleteSeen(0);
    else if (!isScheduled(job) && done.nextInMs !== undefined) await queues.addCompleteSeen(done.nextInMs);
    return done;
  } catch (error) {
    if (isConnectionError(error) && !isScheduled(job)) await queues.addCompleteSeen(COMPLETE_SEEN_AGAIN_MS);
    throw error;
  }
}

const isScheduled = ({ repeatJobKey }: Job) => repeatJobKey !== undefined;

/** Writes the last seen of those who are here, so that the loss of all of Redis costs minutes and not days. */
async function recordActive(stores: Stores) {
  let users = 0;
  await eachPage(stores, async (_, userIds) => {
    const lastSeen = await stores.records.lastSeen(userIds);
    const batch = userIds.flatMap((userId, n) => {
      const iso = lastSeen[n];
      return iso ? [{ userId, lastSeen: Date.parse(iso) }] : [];
    });
    // Who is not known was erased since the page was read, or is about to be recorded.
    await moveLastSeen(stores.db, batch);
    users += batch.length;
  });
  return { users };
}

/** Gives everybody who has a deadline but no waiting job a job again. */
async function restoreJobs(stores: Stores) {
  const { records, store, queues } = stores;
  let restored = 0;
  await eachPage(stores, async (shard, userIds) => {
    const numbers = await records.jobNumbers(userIds);
    const noted = userIds.flatMap((userId, n) => {
      const number = numbers[n];
      return number ? [{ userId, number }] : [];
    });
    const coming = await queues.timeouts.coming(shard, noted);
    const missing = noted.filter((_, n) => !coming[n]);
    if (missing.length === 0) return;
    const { users, followUp } = await store.expire(shard, missing);
    for (const [n, user] of users.entries()) {
      const number = missing[n]?.number;
      if (user.nextMs === null || !number || user.job !== number) continue;
      followUp.arms.push({ kind: 'check', userId: user.userId, number, delayMs: user.nextMs });
      restored++;
    }
    await queues.enqueue(followUp);
  });
  return { restored };
}

/**
 * After Redis was lost, wholly or in part: whoever PostgreSQL remembers as active but who has not come back is settled as
 * inactive, once everybody had the time to, and what had been told and recorded of others is made good. Nobody who left
 * during the loss stays a ghost in a watcher's view, and nobody's detail outlives its end there because they are away.
 */
async function settleLost(stores: Stores, config: Config) {
  const { records, losses, db, outbox } = stores;
  const { now, epoch, since, settled, settledAt, returnedAt } = await losses.state();
  const timeToReturn = timeToReturnMs(config);
  // What came back after an outage may be a replica, with the epoch of old and less than there was.
  const next = returnedAt > settledAt ? returnedAt + timeToReturn : settledAt + SETTLE_ANYWAY_EVERY_MS;
  const due = epoch !== settled ? since + timeToReturn : next;
  if (now < due) return { settled: 0, nextInMs: due - now };
  // A transition that waits to be recorded would make a user look active who is not.
  if (!(await outbox.allRecorded())) return { settled: 0, waiting: 'changes are still to be recorded' };
  let count = 0;
  for (let page = await storedAsActive(db, '', PAGE); page.length > 0; ) {
    const userIds = page.map(({ userId }) => userId);
    const [cached, versions] = await Promise.all([records.lastSeen(userIds), records.versions(userIds)]);
    // Who is here by a lease alone has nobody who would say the last sign of life again.
    const isBehind = ({ version, lastSeen }: (typeof page)[number], n: number) =>
      (versions[n] ?? 0) < version || (lastSeen ?? 0) > (Date.parse(cached[n] ?? '') || 0);
    const behind = page.filter(isBehind).map(({ userId }) => userId);
    count += await adopt(stores, behind, ({ status }) => status === 'active');
    page = await storedAsActive(db, page.at(-1)?.userId ?? '', PAGE);
  }
  for (let page = await withEndingDetail(db, '', PAGE); page.length > 0; ) {
    count += await adopt(stores, await records.withoutRecord(page), ({ sources }) => sources.some(isEnding));
    page = await withEndingDetail(db, page.at(-1) ?? '', PAGE);
  }
  count += await catchUp(stores, Math.max(settledAt, now - SETTLE_ANYWAY_EVERY_MS) - timeToReturn);
  await losses.markSettled(epoch, now);
  return { settled: count };
}

const isEnding = ({ remainingMs }: StoredSource) => remainingMs !== null;

/**
 * A replica that took over may not have heard that somebody left, though others had been told and it was recorded: their
 * last seen goes back, and if they came again, nobody who watches was told so.
 */
async function catchUp(stores: Stores, since: number): Promise<number> {
  const { records, db } = stores;
  let count = 0;
  for (let page = await recentlyLeft(db, since, '', PAGE); page.length > 0; ) {
    const userIds = page.map(({ userId }) => userId);
    const [cached, versions] = await Promise.all([records.lastSeen(userIds), records.versions(userIds)]);
    const behind = page.filter(
      ({ lastSeen, version }, n) => lastSeen > Date.parse(cached[n] ?? '') || version > (versions[n] ?? version),
    );
    count += await adopt(
      stores,
      behind.map(({ userId }) => userId),
    );
    page = await recentlyLeft(db, since, page.at(-1)?.userId ?? '', PAGE);
  }
  return count;
}

/** Tells Redis what PostgreSQL remembers of these users, as far as it concerns; returns of how many. */
async function adopt(
  { store, db, queues, detailOrder }: Stores,
  userIds: string[],
  concerns: (stored: StoredUser) => boolean = () => true,
): Promise<number> {
  const storedUsers = await loadStoredUsers(db, userIds, detailOrder);
  let count = 0;
  for (const [shard, ids] of Map.groupBy(userIds, shardOf)) {
    const users = ids.flatMap((userId) => {
      const stored = storedUsers.get(userId);
      return stored && concerns(stored) ? [{ userId, stored }] : [];
    });
    if (users.length > 0) await queues.enqueue(await store.adopt(shard, users));
    count += users.length;
  }
  return count;
}
