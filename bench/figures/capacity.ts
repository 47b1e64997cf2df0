import { growThrough } from '../capacity/growing.ts';
import type { Habit } from '../capacity/place.ts';
import { beside, fared } from '../capacity/tables.ts';
import { type Figure, type Row, say } from '../measure/figure.ts';

/**
 * A deployment grows for as long as this machine can hold it, beside what docs/scaling.md predicts. As in production first; then
 * with habits that cost little, to see how memory grows with more users than the processors could serve.
 */
export const capacity: Figure = {
  title: 'How many users this machine holds, and what they need, beside the prediction; sessions without sockets',
  seconds: { full: 1200, quick: 200 },
  byName: true,
  measure: async (scale) => {
    const profiles: { name: string; habit: Habit; sizes: number[] }[] = [
      {
        name: 'as in production',
        habit: scale.pick(
          { ttlSeconds: 60, intervalSeconds: 30, changeSeconds: 300 },
          { ttlSeconds: 20, intervalSeconds: 10, changeSeconds: 300 },
        ),
        sizes: scale.pick([100_000, 250_000, 500_000, 1_000_000], [5000, 10_000]),
      },
      {
        name: 'quiet people',
        habit: { ttlSeconds: 300, intervalSeconds: 150, changeSeconds: 3600 },
        sizes: scale.pick([500_000, 1_000_000], [10_000]),
      },
    ];
    // The streams to the webs keep what was delivered for half a minute.
    const times = scale.pick(
      { settleSeconds: 32, idleSeconds: 30, movingSeconds: 65 },
      { settleSeconds: 8, idleSeconds: 10, movingSeconds: 25 },
    );
    const rows: Row[] = [];
    const tables: Record<string, Record<string, string | number>[]> = {};
    const notes: string[] = [];
    for (const { name, habit, sizes } of profiles) {
      const { ttlSeconds, intervalSeconds, changeSeconds } = habit;
      const title = `${name}: TTL ${ttlSeconds} s, a heartbeat in ${intervalSeconds} s, a coming or going in ${changeSeconds} s`;
      say(title);
      const { empty, steps, stopped } = await growThrough(sizes, habit, times);
      tables[`${title}; measured and predicted`] = beside(steps, habit, empty);
      tables[`${title}; how people fared`] = fared(steps);
      for (const step of steps) {
        rows.push({
          what: `here, and timed out or not active; ${name}, ${step.users} users`,
          unit: 'users',
          values: { rollcall: [step.falselyInactive + step.missing] },
          targets: [{ atMost: 0 }],
        });
        for (const { ms, what } of step.slow.slice(0, 1))
          notes.push(`${name}, ${step.users} users: ${ms} ms in Redis, ${what}`);
      }
      notes.push(
        stopped === null
          ? `${name}: reached ${sizes.at(-1)} users`
          : `${name}: ended with ${steps.at(-1)?.users ?? 0} users. ${stopped}`,
      );
    }
    return { rows, tables, notes };
  },
};
