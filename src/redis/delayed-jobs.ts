import type { RedisClient } from './connect.ts';
import { runScript } from './scripts.ts';

/** No script is long. */
const MOST_AT_ONCE = 100;

/** A job that is to wait for its time. `delay`: for how long (ms). */
interface SleepingJob {
  id: string;
  key: string;
  name: string;
  data: object;
  opts: { delay: number };
}

/** Many jobs of a queue of BullMQ at once that wait for their time, which BullMQ's own ways handle one a call. */
export class DelayedJobs {
  readonly #redis: RedisClient;

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /**
   * Adds jobs as BullMQ writes them; of an id that is there already nothing is changed. `delayed`: the queue's key of jobs that wait for
   * their time, `marker`: that of what wakes its workers. Rejects with ioredis's errors where Redis is away.
   */
  async add({ delayed, marker }: { delayed: string; marker: string }, jobs: readonly SleepingJob[]): Promise<void> {
    for (let n = 0; n < jobs.length; n += MOST_AT_ONCE) {
      const some = jobs.slice(n, n + MOST_AT_ONCE);
      const keys = [delayed, marker, ...some.map(({ key }) => key)];
      const args = some.flatMap(({ id, name, data, opts }) => {
        return [id, name, JSON.stringify(data), JSON.stringify({ ...opts, attempts: 0 }), opts.delay];
      });
      await runScript(this.#redis, 'add-jobs', keys, [Date.now(), ...args]);
    }
  }

  /** Removes jobs that have neither logs nor children. Returns the ids of those that do not wait. Rejects as `add` does. */
  async remove(delayed: string, jobs: readonly { id: string; key: string }[]): Promise<string[]> {
    const keys = [delayed, ...jobs.map(({ key }) => key)];
    const ids = jobs.map(({ id }) => id);
    return (await runScript(this.#redis, 'remove-jobs', keys, ids)).map(String);
  }
}
