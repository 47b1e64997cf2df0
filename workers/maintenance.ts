import type { Job } from 'bullmq';
import type { Config } from '../src/config.ts';
import { isConnectionError } from '../src/postgres/errors.ts';
import { activeInMemory, loadMemories, moveLastSeen, recentlyLeft, withEndingDetail } from '../src/postgres/users.ts';
import type { MaintenanceJobName } from '../src/queues/jobs.ts';
import { SHARDS, shardOf } from '../src/redis/keys.ts';
import type { Services } from '../src/services.ts';
import { eraseTraces } from './erasure.ts';
import { dropOld } from './retention.ts';
import { completeSeen, pruneSeen } from './seen-index.ts';
import { noteMinute } from './timeline.ts';

const PAGE = 500;
/** Work that Redis has to itself for a moment after it came back: restores by the webs and the record of what was left. */
const SETTLE_MARGIN_MS = 5000;
/** Losses that change no epoch (a failover that lost a second) are looked for this often. */
const SETTLE_ANYWAY_EVERY_MS = 10 * 60_000;

/** Slow work, a job each: bounded passes that say what they did. */
export async function runMaintenance(services: Services, config: Config, job: Job) {
  try {
    switch (job.name as MaintenanceJobName | 'erase-traces') {
      case 'record-active':
        return await recordActive(services);
      case 'restore-jobs':
        return await restoreJobs(services);
      case 'settle-lost':
        return await settleLost(services, config);
      case 'complete-seen':
        return await completeSeen(services);
      case 'prune-seen':
        return await pruneSeen(services);
      case 'note-minute':
        return await noteMinute(services);
      case 'drop-old':
        return await dropOld(services, config);
      case 'erase-traces':
        return await eraseTraces(services, job);
      default:
        return { unknown: job.name };
    }
  } catch (error) {
    if (!isConnectionError(error)) throw error;
    return { waiting: 'PostgreSQL is away' };
  }
}

async function eachPage(services: Services, work: (shard: number, userIds: string[]) => Promise<void>): Promise<void> {
  for (let shard = 0; shard < SHARDS; shard++) {
    let cursor = '0';
    do {
      const page = await services.index.page(shard, cursor, PAGE);
      cursor = page.cursor;
      if (page.userIds.length > 0) await work(shard, page.userIds);
    } while (cursor !== '0');
  }
}

/** Writes the last seen of those who are here, so that the loss of all of Redis costs minutes and not days. */
async function recordActive(services: Services) {
  let users = 0;
  await eachPage(services, async (_, userIds) => {
    const lastSeen = await services.index.lastSeen(userIds);
    const batch = userIds.flatMap((userId, n) => {
      const iso = lastSeen[n];
      return iso ? [{ userId, lastSeen: Date.parse(iso) }] : [];
    });
    // Who is not known was erased since the page was read, or is about to be recorded.
    await moveLastSeen(services.db, batch);
    users += batch.length;
  });
  return { users };
}

/** Gives everybody who has a deadline but no waiting job a job again. */
async function restoreJobs(services: Services) {
  const { index, store, queues } = services;
  let restored = 0;
  await eachPage(services, async (shard, userIds) => {
    const numbers = await index.jobNumbers(userIds);
    const noted = userIds.flatMap((userId, n) => {
      const number = numbers[n];
      return number ? [{ userId, number }] : [];
    });
    const coming = await queues.coming(noted);
    const missing = noted.filter((_, n) => !coming[n]);
    if (missing.length === 0) return;
    const { users, followUp } = await store.expire(shard, missing);
    for (const [n, user] of users.entries()) {
      const number = missing[n]?.number;
      if (user.nextMs === null || !number || user.job !== number) continue;
      followUp.arms.push({ kind: 'check', userId: user.userId, number, delayMs: user.nextMs });
      restored++;
    }
    await queues.follow(followUp);
  });
  return { restored };
}

/**
 * After Redis was lost: whoever PostgreSQL remembers as active but who has not come back is settled as inactive, once
 * everybody had the time to. Nobody who left during the loss stays a ghost in a watcher's view, and nobody's detail
 * outlives its end there because they are away.
 */
async function settleLost(services: Services, config: Config) {
  const { index, store, db, queues, outbox } = services;
  const { now, epoch, since, settled, settledAt, returnedAt } = await index.epoch();
  const timeToReturn = config.ttlMs + config.handoverMs + SETTLE_MARGIN_MS;
  // What came back after an outage may be a replica, with the epoch of old and less than there was.
  const next = returnedAt > settledAt ? returnedAt + timeToReturn : settledAt + SETTLE_ANYWAY_EVERY_MS;
  const due = epoch !== settled ? since + timeToReturn : next;
  if (now < due) return { settled: 0, nextInMs: due - now };
  // A transition that waits to be recorded would make a user look active who is not.
  if (!(await outbox.allRecorded())) return { settled: 0, waiting: 'changes are still to be recorded' };
  let count = 0;
  const adoptLost = async (userIds: string[]) => {
    const lost = await index.withoutRecord(userIds);
    const memories = await loadMemories(db, lost);
    for (const [shard, ids] of Map.groupBy(lost, shardOf)) {
      const users = ids.flatMap((userId) => {
        const memory = memories.get(userId);
        const concerned = memory?.status === 'active' || memory?.detail?.remainingMs != null;
        return memory && concerned ? [{ userId, memory }] : [];
      });
      if (users.length > 0) await queues.follow(await store.adopt(shard, users));
      count += users.length;
    }
  };
  const active: typeof withEndingDetail = async (...page) => (await activeInMemory(...page)).map((user) => user.userId);
  for (const ids of [active, withEndingDetail]) {
    for (let page = await ids(db, '', PAGE); page.length > 0; page = await ids(db, page.at(-1) ?? '', PAGE)) {
      await adoptLost(page);
    }
  }
  await catchUp(services, Math.max(settledAt, now - SETTLE_ANYWAY_EVERY_MS) - timeToReturn);
  await index.markSettled(epoch, now);
  return { settled: count };
}

/** A replica that took over may have an older last seen of those who left than had been told and recorded. */
async function catchUp({ index, store, db, queues }: Services, since: number) {
  const next = (after: string) => recentlyLeft(db, since, after, PAGE);
  for (let page = await next(''); page.length > 0; page = await next(page.at(-1)?.userId ?? '')) {
    const cached = await index.lastSeen(page.map(({ userId }) => userId));
    const behind = page.filter(({ lastSeen }, n) => lastSeen > Date.parse(cached[n] ?? '')).map(({ userId }) => userId);
    const memories = await loadMemories(db, behind);
    for (const [shard, userIds] of Map.groupBy(behind, shardOf)) {
      const users = userIds.flatMap((userId) => {
        const memory = memories.get(userId);
        return memory ? [{ userId, memory }] : [];
      });
      if (users.length > 0) await queues.follow(await store.adopt(shard, users));
    }
  }
}
