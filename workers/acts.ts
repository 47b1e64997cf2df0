import type { Job } from 'bullmq';
import { noteActs } from '../src/postgres/audit.ts';
import type { NoteActsJob } from '../src/queues/jobs.ts';
import type { Stores } from '../src/stores.ts';

/** Notes acts that were done while PostgreSQL was away. Rejects while it is: the job is tried again. */
export async function noteActsLate({ db }: Pick<Stores, 'db'>, { data: { acts, at } }: Job<NoteActsJob>) {
  await noteActs(db, acts, at);
  return { noted: acts.length };
}
