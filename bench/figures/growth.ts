import { setTimeout as pause } from 'node:timers/promises';
import { type Figure, say } from '../measure/figure.ts';
import { cpuJob } from '../measure/machine.ts';
import { beyond, type Cost, costOf, Tally } from '../measure/rounds.ts';
import { median, short } from '../measure/statistics.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { startSessions } from '../systems/sessions.ts';
import { stopAll } from '../systems/system.ts';

const PER_SECOND = 1200;
const TTL_SECONDS = 60;
const INTERVAL_SECONDS = 30;
const EMPTY_SECONDS = 15;

/**
 * How the cost of an idle user grows with their number: heartbeats, timeout jobs, sweep and upkeep of sessions without sockets.
 * What a deployment costs that has no users is left out, or it would be most of the cost of a few.
 */
export const growth: Figure = {
  title: 'CPU of an idle user from 1,000 to 100,000 users, sessions without sockets',
  seconds: { full: 430, quick: 270 },
  measure: async (scale) => {
    const sizes = scale.pick([1000, 10_000, 100_000], [1000, 4000]);
    const [warmSeconds, windowSeconds] = [62, 15] as const;
    const env = {
      PRESENCE_TTL_SECONDS: String(TTL_SECONDS),
      HEARTBEAT_INTERVAL_SECONDS: String(INTERVAL_SECONDS),
    };
    const started: { stop(): Promise<void> }[] = [];
    const tally = new Tally();
    const cpuJobMs: number[] = [];
    try {
      const system = await startRollcall({ env });
      started.push(system);
      const sessions = startSessions(system);
      started.push(sessions);
      await sessions.ready;
      await pause(5000);
      const empty = await costOf(system, () => pause(EMPTY_SECONDS * 1000));
      await sessions.ask('keepBeating', INTERVAL_SECONDS * 1000);
      let here = 0;
      for (const size of sizes) {
        await sessions.ask('open', { prefix: 'user-', from: here, count: size - here }, PER_SECOND);
        here = size;
        await pause(warmSeconds * 1000);
        // Three windows: as long as it takes on average until a timeout job comes round.
        for (let window = 0; window < 3; window++) {
          cpuJobMs.push(cpuJob().cpuMs);
          const from = performance.now();
          const cost: Cost = await costOf(system, () => pause(windowSeconds * 1000));
          const seconds = (performance.now() - from) / 1000;
          tally.addMicros(`at ${size}`, beyond(cost, empty, seconds / EMPTY_SECONDS), size * seconds);
        }
        say(`${size} users: ${tally.of(`at ${size}`).map(short).join(', ')} µs of CPU each a second`);
      }
    } finally {
      await stopAll(...started.reverse());
    }
    const [first = 0, ...others] = sizes.map((size) => median(tally.of(`at ${size}`)));
    return {
      cpuJobMs,
      rows: [
        ...sizes.map((size) => ({
          what: `an idle user among ${size}, no sockets`,
          unit: 'µs CPU a second',
          values: { rollcall: tally.of(`at ${size}`) },
          parts: tally.partsOf(`at ${size}`),
        })),
        {
          what: `the dearest by the one among ${sizes[0]}`,
          unit: 'times',
          values: { rollcall: [Math.max(...others) / first] },
          targets: [{ atMost: 1.2 }],
        },
      ],
    };
  },
};
