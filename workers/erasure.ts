import type { Job } from 'bullmq';
import { eraseUser } from '../src/postgres/erasure.ts';
import { loadMemories } from '../src/postgres/users.ts';
import type { Change } from '../src/presence/change.ts';
import type { EraseTracesJob } from '../src/queues/jobs.ts';
import type { Services } from '../src/services.ts';

/**
 * What an erasure in the outbox asks for, in its place among the changes: whatever was recorded before it goes, and
 * nothing that comes late brings it back. May be repeated.
 */
export async function erase(services: Services, { userId, version }: Change): Promise<void> {
  const { db, indicators, queues } = services;
  for (const conversationId of await eraseUser(db, userId, version)) {
    await indicators.forgetMember(conversationId, userId);
    await queues.follow(await indicators.expel(conversationId, userId));
  }
  await dropTraces(services, userId);
  // Jobs that are at work now leave their traces a moment later.
  await queues.addEraseTraces(userId);
}

/** Removes what queues and indexes still hold of somebody who was erased, unless they have come back. */
export async function eraseTraces(services: Services, { data: { userId } }: Job<EraseTracesJob>) {
  const back = !(await dropTraces(services, userId));
  return { jobs: await services.queues.forget(userId, { keepTimeouts: back }) };
}

/** False: they have come back. */
async function dropTraces({ db, store }: Services, userId: string): Promise<boolean> {
  return !(await loadMemories(db, [userId])).has(userId) && (await store.dropTraces(userId));
}
