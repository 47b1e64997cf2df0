import { setTimeout as pause } from 'node:timers/promises';
import type { Figure, Outcome, Scale } from '../measure/figure.ts';
import { costBeyondIdle, rounds, Tally } from '../measure/rounds.ts';
import { startBare, startTutorial } from '../systems/baselines.ts';
import { rollcalls } from '../systems/rollcall.ts';
import { arrival, sideBySide } from '../systems/side-by-side.ts';

const FLUSH_MS = 200;

/**
 * What a heartbeat costs: all CPU while everybody beats at a steady pace, less what the same users cost while they say nothing.
 * They beat more often than in life, for enough beats to measure; nobody is overdue meanwhile, so no timeout job runs.
 */
async function measure(scale: Scale, { users, everyMs }: { users: number; everyMs: number }): Promise<Outcome> {
  const [idleSeconds, seconds] = [scale.pick(4, 2), scale.pick(8, 4)];
  const env = {
    PRESENCE_TTL_SECONDS: '3600',
    HEARTBEAT_INTERVAL_SECONDS: '25',
    HEARTBEAT_MIN_INTERVAL_SECONDS: '0.5',
  };
  const starts = [...rollcalls(scale, { env }), () => startBare(), () => startTutorial({ ttlSeconds: 3600 })];
  return sideBySide(starts, async (stations) => {
    for (const { system, crowd } of stations) {
      await crowd.ask('connect', arrival(system, { prefix: 'user-', count: users }));
    }
    // Code that has not run hot yet costs several times as much.
    for (const { crowd } of stations) await crowd.ask('beat', everyMs, seconds);
    const tally = new Tally();
    const cpuJobMs = await rounds(scale, stations, async ({ system, crowd }) => {
      let beats = 0;
      const cost = await costBeyondIdle(system, idleSeconds, async () => {
        beats = await crowd.ask('beat', everyMs, seconds);
        await pause(FLUSH_MS);
      });
      tally.addMicros(system.name, cost, beats);
    });
    for (const { system, crowd } of stations) {
      const lost = await crowd.ask('lost');
      if (lost > 0) throw new Error(`${system.name} lost ${lost} of ${users} connections`);
    }
    const values = {
      rollcall: tally.of('rollcall'),
      before: tally.of('before'),
      bare: tally.of('bare'),
      tutorial: tally.of('tutorial'),
    };
    return {
      cpuJobMs,
      rows: [
        {
          what: `a heartbeat; ${users} users, ${(users * 1000) / everyMs} a second`,
          unit: 'µs CPU',
          values,
          targets: [
            { atMost: 1.25, of: 'bare' },
            { atMost: 0.7, of: 'tutorial' },
          ],
          parts: tally.partsOf('rollcall'),
        },
      ],
    };
  });
}

export const heartbeats: Figure = {
  title: 'CPU of a heartbeat, 2,000 users',
  seconds: { full: 110, quick: 40 },
  measure: (scale) => measure(scale, scale.pick({ users: 2000, everyMs: 2000 }, { users: 500, everyMs: 1000 })),
};

export const heartbeats10k: Figure = {
  title: 'CPU of a heartbeat, 10,000 users',
  seconds: { full: 160, quick: 40 },
  measure: (scale) => measure(scale, scale.pick({ users: 10_000, everyMs: 5000 }, { users: 1000, everyMs: 1000 })),
};
