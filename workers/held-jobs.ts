import type { Job, Worker } from 'bullmq';
import { every } from '../src/lifecycle.ts';

interface Held {
  jobId: string;
  token: string;
  renewedAt: number;
}

/**
 * Renews the locks of the jobs that a worker has in hand, which the library would do by a timer that wakes an idle process some ten
 * times a second.
 */
export class HeldJobs {
  readonly #lockMs: number;
  readonly #worker: () => Pick<Worker, 'extendJobLocks' | 'emit'> | undefined;
  readonly #held = new Set<Held>();
  #stop: (() => void) | null = null;

  /** `lockMs`: for how long a lock lasts; `worker`: whose jobs they are, once there is one. */
  constructor(lockMs: number, worker: () => Pick<Worker, 'extendJobLocks' | 'emit'> | undefined) {
    this.#lockMs = lockMs;
    this.#worker = worker;
  }

  /** Keeps the lock of a job until `work` is done, whatever comes of it. */
  async during<T>(job: Pick<Job, 'id'>, token: string, work: () => Promise<T>): Promise<T> {
    const held = { jobId: job.id ?? '', token, renewedAt: performance.now() };
    this.#held.add(held);
    // A quarter of its time: each is renewed before half of it has gone.
    this.#stop ??= every(this.#lockMs / 4, () => void this.#renew());
    try {
      return await work();
    } finally {
      this.#held.delete(held);
    }
  }

  /** Renews nothing any more. Call once no job is in hand. */
  stop(): void {
    this.#stop?.();
    this.#stop = null;
  }

  async #renew(): Promise<void> {
    // Not with the last job: where many are short, a timer for each would cost more than it saves.
    if (this.#held.size === 0) return this.stop();
    const now = performance.now();
    const worker = this.#worker();
    const due = [...this.#held].filter(({ renewedAt }) => now - renewedAt >= this.#lockMs / 4);
    if (due.length === 0 || !worker) return;
    for (const held of due) held.renewedAt = now;
    try {
      const lost = await worker.extendJobLocks(
        due.map(({ jobId }) => jobId),
        due.map(({ token }) => token),
        this.#lockMs,
      );
      for (const jobId of lost) worker.emit('error', new Error(`could not renew lock for job ${jobId}`));
    } catch (error) {
      worker.emit('error', error as Error);
    }
  }
}
