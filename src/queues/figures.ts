import type { Queue } from 'bullmq';
import { dueSince, firstDue } from './due.ts';

/** Reads how much waits in a queue and for how long, and remembers what it saw waiting. */
export class QueueFigures {
  readonly #queue: Queue;
  /** The job that was next when this was last asked: which one, begun how often, and when it was first seen so. */
  #next = { id: '', seenAt: 0 };

  constructor(queue: Queue) {
    this.#queue = queue;
  }

  /**
   * How many jobs are in each state, and for how long (ms) the one that waits longest has been due: among those that wait for
   * a worker, and those whose time has come though nobody took notice. 0 where none waits.
   */
  async read() {
    const [counts, [next], delayedUntil] = await Promise.all([
      this.#queue.getJobCounts('waiting', 'active', 'delayed', 'failed'),
      this.#queue.getJobs(['waiting'], 0, 0, true),
      firstDue(this.#queue),
    ]);
    const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
    const now = Date.now();
    const id = next ? `${next.id} ${next.attemptsStarted}` : '';
    if (id !== this.#next.id) this.#next = { id, seenAt: now };
    // What does not tell, or was taken out of turn by hand, has been due since it was first seen here at the latest.
    const { seenAt } = this.#next;
    const since = Math.min(next ? Math.min(dueSince(next) ?? seenAt, seenAt) : now, delayedUntil ?? now);
    return { queue: this.#queue.name, jobs: { waiting, active, delayed, failed }, oldestMs: Math.max(0, now - since) };
  }
}
