import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../measure/figure.ts';
import { say } from '../measure/figure.ts';
import { cpuJob } from '../measure/machine.ts';
import { costOf, Tally } from '../measure/rounds.ts';
import { short } from '../measure/statistics.ts';
import { startBare, startTutorial } from '../systems/baselines.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { arrival, type Station, sideBySide } from '../systems/side-by-side.ts';
import type { System } from '../systems/system.ts';

/**
 * What people cost who are there and do nothing, everything counted: pings, heartbeats, timeout jobs, sweep. All systems are
 * watched in the same minutes, which are long enough for each timeout job to come round.
 */
export const idle: Figure = {
  title: 'CPU of 1,000 idle users for a second, TTL 60 s',
  seconds: { full: 295, quick: 60 },
  measure: async (scale) => {
    // With a small TTL everything comes round soon, and costs accordingly more.
    const [ttl, interval] = scale.pick([60, 30], [10, 5]);
    const users = scale.pick(5000, 500);
    const windowSeconds = ttl;
    const env = { PRESENCE_TTL_SECONDS: String(ttl), HEARTBEAT_INTERVAL_SECONDS: String(interval) };
    const before = scale.against === null ? [] : (['before event', 'before pong'] as const);
    const kinds = ['event', 'pong', ...before, 'bare', 'tutorial'] as const;
    const starts: (() => Promise<System>)[] = [
      ...['event', 'pong'].map(() => () => startRollcall({ env })),
      ...before.map(() => () => startRollcall({ env, folder: scale.against ?? '' })),
      () => startBare({ pingSeconds: Math.min(25, interval) }),
      () => startTutorial({ ttlSeconds: ttl, pingSeconds: Math.min(25, interval) }),
    ];
    return sideBySide(starts, async (stations) => {
      const places = stations.map((station, n) => ({ ...station, kind: kinds[n] ?? 'event' }));
      const tally = new Tally();
      await pause(3000);
      await window(places, scale.pick(15, 5), (kind, msPerSecond, parts) => {
        tally.add(`empty ${kind}`, msPerSecond);
        for (const [part, ms] of Object.entries(parts)) tally.add(`empty ${kind}/${part}`, ms);
      });
      for (const { system, crowd, kind } of places) {
        const auth = kind.endsWith('pong') ? { heartbeat: 'pong' } : {};
        await crowd.ask('connect', arrival(system, { prefix: 'user-', count: users }, { auth }));
        if (!kind.endsWith('pong')) await crowd.ask('keepBeating', interval * 1000);
      }
      await pause((ttl + interval / 3) * 1000);
      const cpuJobMs: number[] = [];
      for (let round = 0; round < scale.repetitions; round++) {
        const job = cpuJob();
        cpuJobMs.push(job.cpuMs);
        say(`round ${round + 1} of ${scale.repetitions}; fixed CPU job ${short(job.cpuMs)} ms`);
        await window(places, windowSeconds, (kind, msPerSecond, parts) => {
          tally.add(kind, (msPerSecond * 1000) / users);
          for (const [part, ms] of Object.entries(parts)) tally.add(`${kind}/${part}`, (ms * 1000) / users);
        });
      }
      for (const { crowd, kind } of places) {
        const lost = await crowd.ask('lost');
        if (lost > 0) throw new Error(`${kind} lost ${lost} of ${users} connections`);
      }
      const [bare, tutorial] = [tally.of('bare'), tally.of('tutorial')];
      const row = (kind: string, what: string, atMost: number) => ({
        what: `${what}; ${users} users, TTL ${ttl} s`,
        unit: 'ms CPU a second for 1,000',
        values: { rollcall: tally.of(kind), before: tally.of(`before ${kind}`), bare, tutorial },
        targets: [{ atMost, of: 'tutorial' as const }],
        parts: tally.partsOf(kind),
      });
      return {
        cpuJobMs,
        rows: [
          row('event', 'idle users, everything counted', 1),
          row('pong', 'idle users in pong mode, everything counted', 0.6),
          {
            what: 'a deployment without users (a part of both)',
            unit: 'ms CPU a second',
            values: {
              rollcall: tally.of('empty event'),
              before: tally.of('empty before event'),
              bare: tally.of('empty bare'),
              tutorial: tally.of('empty tutorial'),
            },
            parts: tally.partsOf('empty event'),
          },
        ],
      };
    });
  },
};

type Kind = 'before event' | 'before pong' | 'event' | 'pong' | 'bare' | 'tutorial';

/** Watches all places at once for so long; tells CPU ms a second of each. */
async function window(
  places: (Station & { kind: Kind })[],
  seconds: number,
  tell: (kind: Kind, msPerSecond: number, parts: Record<string, number>) => void,
): Promise<void> {
  await Promise.all(
    places.map(async ({ system, kind }) => {
      const from = performance.now();
      const { ms, parts } = await costOf(system, () => pause(seconds * 1000));
      const took = (performance.now() - from) / 1000;
      const scaled = Object.entries(parts).map(([part, value]) => [part, value / took] as const);
      tell(kind, ms / took, Object.fromEntries(scaled));
    }),
  );
}
