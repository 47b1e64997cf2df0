import { createHash } from 'node:crypto';
import type { Job } from 'bullmq';
import type { Config } from '../src/config/config.ts';
import { type Activation, type Asker, askersOf, claimAlerts, usersAskedAbout } from '../src/postgres/alerts.ts';
import { subscriptionsOf } from '../src/postgres/push-subscriptions.ts';
import type { Cause, Change } from '../src/presence/change.ts';
import type { FriendActiveJob, PushJob } from '../src/queues/jobs.ts';
import type { Stores } from '../src/stores.ts';

const ASKERS_AT_ONCE = 200;
/** Somebody came. Not who was here all along, and Redis or a watcher did not know. */
const COMINGS = new Set<Cause>(['connect', 'heartbeat', 'manual']);

/**
 * Adds a job for each of these changes that friends may want to hear of, which looks again once the user has stayed for
 * a while. Safe to repeat.
 */
export async function scheduleAlerts({ db, queues }: Stores, config: Config, changes: Change[]): Promise<void> {
  const comings = changes.filter((change) => isWorthTelling(change, config.alertMinAbsenceMs));
  if (comings.length === 0) return;
  const asked = await usersAskedAbout(db, [...new Set(comings.map((change) => change.userId))]);
  const jobs = comings
    .filter((change) => asked.has(change.userId))
    .map(({ userId, version, at }) => ({ userId, version, at: new Date(at).toISOString() }));
  if (jobs.length > 0) await queues.addFriendActive(jobs, config.alertStableMs);
}

function isWorthTelling({ status, cause, awaySince, at }: Change, minAbsenceMs: number): boolean {
  if (status !== 'active' || !COMINGS.has(cause) || awaySince === undefined) return false;
  return awaySince === null || at - awaySince >= minAbsenceMs;
}

/** Whether the user has been active, and shown so, ever since an activation. Rejects where Redis is away. */
export async function isStillActive({ store, queues }: Stores, { userId, at }: Activation): Promise<boolean> {
  const { record, followUp } = await store.inspect(userId);
  await queues.enqueue(followUp);
  return record?.announced === true && record.since !== null && record.since <= at;
}

/**
 * Tells the friends who asked. A page of them is noted in the job, claimed in PostgreSQL and then told: where a worker
 * dies in between, the next one tells the noted page again, and nobody else a second time.
 */
export async function runFriendActive(stores: Stores, config: Config, job: Job<FriendActiveJob>) {
  const { userId, at, telling } = job.data;
  const activation = { userId, at: Date.parse(at) };
  if (!(await isStillActive(stores, activation))) return { dropped: 'not active any more since then' };
  const { alertCooldownMs: cooldownMs } = config;
  const counts = { connected: 0, pushes: 0 };
  const tell = async (askerIds: string[], again: boolean) => {
    const claimed = await claimAlerts(stores.db, activation, { askerIds, cooldownMs, again });
    const away: string[] = [];
    for (const askerId of claimed) {
      const { told, followUp } = await stores.alerts.tell(askerId, activation);
      await stores.queues.enqueue(followUp);
      if (told) counts.connected++;
      else away.push(askerId);
    }
    if (config.vapid !== null && away.length > 0) counts.pushes += await addPushes(stores, away, job.data);
  };

  if (telling) await tell(telling, true);
  let after = job.data.after ?? '';
  for (;;) {
    const askers = await askersOf(stores.db, activation, { cooldownMs, after, limit: ASKERS_AT_ONCE });
    const last = askers.at(-1);
    if (!last) return counts;
    after = last.userId;
    const reachable = await whoCanBeReached(stores, config, askers);
    if (reachable.length === 0) continue;
    await job.updateData({ ...job.data, after, telling: reachable });
    await tell(reachable, false);
  }
}

/** An alert that nobody could get is not used up. */
async function whoCanBeReached({ alerts }: Stores, { vapid }: Config, askers: Asker[]): Promise<string[]> {
  const reachable = await Promise.all(
    askers.map(async ({ userId, pushable }) => (pushable && vapid !== null) || (await alerts.isConnected(userId))),
  );
  return askers.filter((_, n) => reachable[n]).map((asker) => asker.userId);
}

async function addPushes({ db, queues }: Stores, askerIds: string[], { userId, at }: FriendActiveJob) {
  const jobs = (await subscriptionsOf(db, askerIds)).map(({ userId: to, endpoint }) => {
    const data: PushJob = {
      to,
      userId,
      at,
      subscription: digestOf(endpoint),
      service: URL.parse(endpoint)?.host ?? 'unknown',
    };
    return { id: digestOf(endpoint, userId, at), data };
  });
  if (jobs.length > 0) await queues.addPushes(jobs);
  return jobs.length;
}

/** A name that tells nothing of what it stands for: an endpoint is a secret. */
export function digestOf(...parts: string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('base64url').slice(0, 24);
}
