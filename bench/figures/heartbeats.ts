import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpuDuring, startStack } from '../stack.ts';

const USERS = 2000;
const EVERY_MS = 2000;
const SECONDS = 15;
const ROUNDS = 3;

/**
 * What a heartbeat costs the web process and Redis: CPU time while 2,000 users beat every two seconds, less what the
 * same users cost while they are connected and say nothing.
 */
export async function heartbeats() {
  const stack = await startStack({
    env: { PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25', HEARTBEAT_MIN_INTERVAL_SECONDS: '1' },
  });
  const load = fork('bench/load.ts', [stack.urls[0] ?? '', stack.secret, String(USERS)]);
  const rounds: Record<string, number>[] = [];
  try {
    await once(load, 'message');
    for (let round = 0; round < ROUNDS; round++) {
      const idle = await cpuDuring(stack, () => new Promise((resolve) => setTimeout(resolve, SECONDS * 1000)));
      let beats = 0;
      const busy = await cpuDuring(stack, async () => {
        load.send({ beat: { everyMs: EVERY_MS, seconds: SECONDS } });
        const [{ sent }] = await once(load, 'message');
        beats = sent;
      });
      const micros = (part: 'web' | 'redis') => Math.round(((busy[part] - idle[part]) * 10_000) / beats) / 10;
      rounds.push({
        beats,
        webMicros: micros('web'),
        redisMicros: micros('redis'),
        idleWebMs: idle.web,
        idleRedisMs: idle.redis,
        idleWorkerMs: idle.worker,
      });
    }
  } finally {
    load.kill('SIGKILL');
    await stack.stop();
  }
  return rounds;
}
