import { Job, type JobProgress, Queue } from 'bullmq';

/**
 * A job that is waiting for each active user takes 280 bytes of Redis instead of 700 where no field of it is longer than 64
 * (`hash-max-listpack-value`). Its id is its key's name and need not stand in its options too.
 */
class SmallJob<Data, Result, Name extends string, Progress extends JobProgress> extends Job<
  Data,
  Result,
  Name,
  Progress
> {
  override asJSON() {
    const { opts, ...rest } = super.asJSON();
    const { jobId: _, ...others } = opts;
    return { ...rest, opts: others };
  }
}

/** A queue whose jobs take less of Redis than BullMQ's own. */
export class QueueOfSmallJobs extends Queue {
  protected override get Job() {
    return SmallJob;
  }
}
