import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { type Service, serviceOf } from '../../lifecycle.ts';
import type { Logger } from '../../log.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** Who ran for this long and then crashed is started again without much ado. */
const HEALTHY_MS = 60_000;
/** A little longer than the processes take for themselves, and still below the 25 s of a stop. */
export const CLUSTER_STOP_LIMIT_MS = 24_500;

/**
 * Several web processes that share a port. Each runs the same entry point again and is told apart by `cluster.isWorker`.
 *
 * Started once all of them listen; one that ends before it ever listened fails the start, as it would alone. From then
 * on a crashed one is started again, after a pause that doubles while it keeps crashing.
 */
export function webCluster(size: number, log: Logger): Service {
  const running = new Set<Worker>();
  const pauses = new Set<NodeJS.Timeout>();
  let stopping = false;

  function launch(pauseMs: number): Worker {
    const worker = cluster.fork();
    let listeningSince: number | undefined;
    running.add(worker);
    worker.once('listening', () => {
      listeningSince = performance.now();
    });
    // A message to a process that is just dying fails; its exit says the rest.
    worker.on('error', (error) =>
      log.debug({ err: error, webPid: worker.process.pid }, 'a web process cannot be told'),
    );
    worker.once('exit', (code: number | null, signal: string | null) => {
      running.delete(worker);
      if (stopping) return;
      const healthy = listeningSince !== undefined && performance.now() - listeningSince >= HEALTHY_MS;
      const afterMs = healthy ? FIRST_PAUSE_MS : pauseMs;
      log.error({ webPid: worker.process.pid, code, signal, afterMs }, 'a web process ended; starting another');
      const pause = setTimeout(() => {
        pauses.delete(pause);
        launch(Math.min(afterMs * 2, LONGEST_PAUSE_MS));
      }, afterMs);
      pauses.add(pause);
    });
    return worker;
  }

  async function untilListening(worker: Worker, stopping: AbortSignal): Promise<void> {
    const over = new AbortController();
    const stopped = new Promise<void>((resolve) => stopping.addEventListener('abort', () => resolve(), over));
    const ended = once(worker, 'exit', over).then(() => {
      throw new Error('A web process ended before it listened; its own lines say why.');
    });
    try {
      await Promise.race([once(worker, 'listening', over), ended, stopped]);
    } finally {
      over.abort();
    }
  }

  return serviceOf({
    name: 'web processes',
    stopLimitMs: CLUSTER_STOP_LIMIT_MS,
    async start(stopping) {
      await Promise.all(Array.from({ length: size }, () => untilListening(launch(FIRST_PAUSE_MS), stopping)));
    },
    async stop() {
      stopping = true;
      for (const pause of pauses) clearTimeout(pause);
      pauses.clear();
      const ends = [...running].map((worker) => once(worker, 'exit'));
      // Not worker.kill(), which would cut them off before they have sent their clients elsewhere.
      for (const worker of running) worker.process.kill('SIGTERM');
      await Promise.all(ends);
    },
  });
}
