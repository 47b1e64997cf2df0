import type { Worker } from 'bullmq';
import { type Service, serviceOf, Ticker } from '../src/lifecycle.ts';
import type { Logger } from '../src/log.ts';
import type { Queues } from '../src/queues/queues.ts';
import { isRedisAway } from '../src/redis/absence.ts';

const LOOK_EVERY_MS = 1000;
/** Looks are not on the dot. */
const SLACK_MS = 100;

/** A worker whose queue is looked at for jobs of those that died, every so many ms. */
export interface Watched {
  worker: Worker | undefined;
  everyMs: number;
}

/**
 * Gives back jobs that dead workers held, as the library does, but only while any queue has a job in hand at all, which one command
 * tells for all of them: a queue that does nothing costs nothing.
 */
export function stalledJobs(watched: readonly Watched[], queues: Pick<Queues, 'anyInHand'>, log: Logger): Service {
  const lookedAt = new Map<Watched, number>();
  let looking: Promise<unknown> | null = null;

  const look = async () => {
    if (!(await queues.anyInHand())) return;
    const now = performance.now();
    const due = watched.filter((one) => now - (lookedAt.get(one) ?? 0) >= one.everyMs - SLACK_MS);
    const looks = due.map(async (one) => {
      lookedAt.set(one, now);
      if (one.worker && !one.worker.isPaused() && !one.worker.closing) await giveBack(one.worker);
    });
    const failed = (await Promise.allSettled(looks)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  };
  const complain = (error: unknown) => {
    if (!isRedisAway(error)) log.error({ err: error }, 'Jobs of dead workers could not be looked for');
  };
  const looks = new Ticker(LOOK_EVERY_MS, () => {
    looking ??= look()
      .catch(complain)
      .finally(() => {
        looking = null;
      });
  });
  return serviceOf({
    name: 'stalled jobs',
    start: () => looks.start(),
    stop: async () => {
      looks.stop();
      await looking;
    },
  });
}

/** What the library's own timer does at each interval. There is no public name for it. */
async function giveBack(worker: Worker): Promise<void> {
  await (worker as unknown as { moveStalledJobsToWait(): Promise<void> }).moveStalledJobsToWait();
}
