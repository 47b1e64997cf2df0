import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { Job, Queue } from 'bullmq';
import { dueTimes } from '../../queues/due.ts';

/**
 * A queue as the board shows it. The board takes a job to be due its delay after it was added, which is wrong for one that
 * was put back later (it re-arms itself, or failed and is tried again) or moved by hand: here each delayed job says when it
 * will run.
 */
export class BoardQueue extends BullMQAdapter {
  readonly #queue: Queue;

  constructor(queue: Queue, options: ConstructorParameters<typeof BullMQAdapter>[1]) {
    super(queue, options);
    this.#queue = queue;
  }

  override async getJob(id: string): Promise<Job | undefined> {
    const job = await super.getJob(id);
    if (job) await this.#tellDue([job]);
    return job;
  }

  override async getJobs(...asked: Parameters<BullMQAdapter['getJobs']>): Promise<Job[]> {
    const jobs = await super.getJobs(...asked);
    await this.#tellDue(jobs);
    return jobs;
  }

  /** What a job tells of itself, and not the job, which may be written back. */
  async #tellDue(jobs: Job[]): Promise<void> {
    const due = await dueTimes(
      this.#queue,
      jobs.map(({ id }) => id ?? ''),
    );
    for (const [n, job] of jobs.entries()) {
      const at = due[n];
      if (at == null) continue;
      const told = job.toJSON();
      const delay = at - told.timestamp;
      const data = told.data?.due === undefined ? told.data : { ...told.data, due: new Date(at).toISOString() };
      job.toJSON = () => ({ ...told, delay, opts: { ...told.opts, delay }, data });
    }
  }
}
