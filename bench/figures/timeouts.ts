import { setTimeout as pause } from 'node:timers/promises';
import { type Figure, type Scale, say } from '../measure/figure.ts';
import { cpuJob } from '../measure/machine.ts';
import { Tally } from '../measure/rounds.ts';
import { short } from '../measure/statistics.ts';
import { startTutorial, type Tutorial } from '../systems/baselines.ts';
import { type Rollcall, startRollcall } from '../systems/rollcall.ts';
import { startSessions } from '../systems/sessions.ts';
import { arrival, startCrowd } from '../systems/side-by-side.ts';
import { stopAll } from '../systems/system.ts';

const SILENT_WITHIN_MS = 1000;
/** What is not told by then is not told. */
const TOLD_LIMIT_MS = 15_000;
const PER_SECOND = 1500;

/**
 * Many users beat once more within a second and then fall silent, and one client watches them all: how long after the TTL it is
 * told of each. They are sessions without sockets, as it would be if the machine that held them had died.
 */
export const timeouts: Figure = {
  title: 'Lateness of timeouts, 20,000 users silent in the same second',
  seconds: { full: 290, quick: 50 },
  measure: async (scale) => {
    const [users, ttl] = scale.pick([20_000, 30], [1000, 8]);
    const tally = new Tally();
    const cpuJobMs: number[] = [];
    const env = { PRESENCE_TTL_SECONDS: String(ttl), HEARTBEAT_INTERVAL_SECONDS: String(ttl / 2) };
    const started: { stop(): Promise<void> }[] = [];
    try {
      const rollcall = await startRollcall({ env: { ...env, MAX_WATCHED_USERS: '1000000' } });
      started.push(rollcall);
      await fallSilent(rollcall, { users, ttl, repetitions: scale.repetitions }, tally, cpuJobMs);
      await stopAll(...started.splice(0));
      const tutorial = await startTutorial({ ttlSeconds: ttl });
      started.push(tutorial);
      await fallSilent(tutorial, { users, ttl, repetitions: 1 }, tally, cpuJobMs);
    } finally {
      await stopAll(...started.reverse());
    }
    const row = (name: string, atMost: number | null) => ({
      what: `${users} users silent in a second, told after the TTL, ${name}`,
      unit: name === 'never told' ? 'users' : 'ms',
      values: { rollcall: tally.of(`${name} rollcall`), tutorial: tally.of(`${name} tutorial`) },
      ...(atMost === null ? {} : { targets: [{ atMost }] }),
    });
    return { cpuJobMs, rows: [row('p50', 300), row('p99', null), row('the last', 2000), row('never told', 0)] };
  },
};

async function fallSilent(
  system: Rollcall | Tutorial,
  { users, ttl, repetitions }: { users: number; ttl: number; repetitions: Scale['repetitions'] },
  tally: Tally,
  cpuJobMs: number[],
): Promise<void> {
  const [sessions, crowd] = [startSessions(system), startCrowd()];
  try {
    const all = { prefix: 'user-', count: users };
    await crowd.ask('connect', arrival(system, { prefix: 'watcher-', count: 1 }, { scope: 'presence:read' }));
    await crowd.ask('watch', { prefix: 'watcher-', count: 1 }, all);
    for (let round = 0; round < repetitions; round++) {
      const job = cpuJob();
      cpuJobMs.push(job.cpuMs);
      say(`${system.name}, round ${round + 1} of ${repetitions}; fixed CPU job ${short(job.cpuMs)} ms`);
      // Beats meanwhile, or the first would be overdue before the last is there; they also bring back who was timed out.
      await sessions.ask('keepBeating', ttl * 500);
      if (round === 0) await sessions.ask('open', all, PER_SECOND);
      await pause(ttl * 1000);
      await sessions.ask('stopBeating');
      const beganAt = await sessions.ask('beatOnce', SILENT_WITHIN_MS);
      const last = system.name === 'tutorial' ? { last: { beganAt, eachMs: SILENT_WITHIN_MS / users } } : {};
      await crowd.ask('listen', { silenceMs: ttl * 1000, ...last }, 'user-');
      const told = await crowd.ask('untilTold', users, ttl * 1000 + TOLD_LIMIT_MS);
      tally.add(`p50 ${system.name}`, told.late.p50);
      tally.add(`p99 ${system.name}`, told.late.p99);
      tally.add(`the last ${system.name}`, told.late.max);
      tally.add(`never told ${system.name}`, users - told.inactive);
    }
  } finally {
    await stopAll(crowd, sessions);
  }
}
