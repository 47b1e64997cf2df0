import type { Job } from 'bullmq';
import { erasedAgo, eraseUser, isAnybodyErased } from '../src/postgres/erasure.ts';
import { loadStoredUsers } from '../src/postgres/users.ts';
import type { Change } from '../src/presence/change.ts';
import type { EraseTracesJob } from '../src/queues/jobs.ts';
import type { Stores } from '../src/stores.ts';
import { tellPrivacy } from '../src/usecases/privacy.ts';

/**
 * What an erasure in the outbox asks for, in its place among the changes: whatever was recorded before it goes, and
 * nothing that comes late brings it back. May be repeated. Returns until when (ms of Redis's clock) nothing that was made of
 * the user is to be recorded; null: they have come back.
 */
export async function erase(stores: Stores, { userId, version }: Change): Promise<number | null> {
  const { db, memberships, queues } = stores;
  for (const conversationId of await eraseUser(db, userId, version)) {
    // At once; should this fail, it is noted with the removal that Redis has to hear of it.
    await queues.enqueue(await memberships.remove(conversationId, userId));
  }
  const goneUntil = await dropTraces(stores, userId, true);
  // Jobs that are at work now leave their traces a moment later.
  await queues.addEraseTraces(userId);
  return goneUntil;
}

/**
 * Removes what queues and indexes still hold of somebody who was erased, unless they have come back: then Redis has to go by what
 * PostgreSQL says, and not by what was changed between the erasure in the one and in the other. Where a job that speaks of them is at
 * work still (its worker died, or its store is slow) it looks again later: what is done is kept for the board, with whom it was about.
 */
export async function eraseTraces(stores: Stores, { data: { userId } }: Job<EraseTracesJob>) {
  const back = (await dropTraces(stores, userId, false)) === null;
  if (back) await stores.queues.enqueue(await tellPrivacy(stores, userId, null));
  const { removed, atWork } = await stores.queues.removeJobs(userId, { keepTimeouts: back });
  if (atWork > 0) await stores.queues.addEraseTraces(userId);
  return { jobs: removed, atWork };
}

/** When nobody was here by that id (ms of Redis's clock); null: they have come back. */
async function dropTraces({ db, store }: Stores, userId: string, isRecording: boolean): Promise<number | null> {
  return (await loadStoredUsers(db, [userId])).has(userId) ? null : store.dropTraces(userId, { isRecording });
}

/**
 * A Redis that came back with older data has people again who were erased since: they are erased once more. Bounded passes;
 * mostly nobody was erased within the last day, and there is nothing to look for. Returns how many.
 */
export async function eraseAgain(stores: Stores): Promise<number> {
  const { db, seen, store, queues } = stores;
  if (!(await isAnybodyErased(db))) return 0;
  let count = 0;
  for await (const userIds of seen.everybody()) {
    const erased = [...(await erasedAgo(db, userIds)).keys()];
    const back = await loadStoredUsers(db, erased);
    for (const userId of erased.filter((id) => !back.has(id))) {
      // Who came back a moment ago may not be recorded yet.
      if (await hasComeBack(stores, userId)) continue;
      await queues.enqueue((await store.erase(userId)).followUp);
      count++;
    }
  }
  return count;
}

/** Whether somebody connected under the id after it was erased. */
async function hasComeBack({ db, store, queues }: Stores, userId: string): Promise<boolean> {
  const { record, now, followUp } = await store.inspect(userId);
  await queues.enqueue(followUp);
  const agoMs = (await erasedAgo(db, [userId])).get(userId) ?? 0;
  return record?.sessions.some((session) => now - session.connectedAt < agoMs) ?? false;
}
