import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../measure/figure.ts';
import { costBeyondIdle, rounds, Tally } from '../measure/rounds.ts';
import { startTutorial } from '../systems/baselines.ts';
import { rollcalls } from '../systems/rollcall.ts';
import { arrival, sideBySide } from '../systems/side-by-side.ts';
import type { System } from '../systems/system.ts';

const WATCHERS = 200;
const PER_SECOND = 40;
const IDLE_SECONDS = 2;
const SETTLE_MS = 500;
const TOLD_LIMIT_MS = 15_000;

/** What it costs to tell that somebody appears inactive, or no longer: nobody comes, so nearly all of it is the telling. */
export const statusChange: Figure = {
  title: `CPU of an event told, one change of status to ${WATCHERS} watchers, no login`,
  seconds: { full: 110, quick: 50 },
  measure: async (scale) => {
    // Each changes seldom enough for the limits.
    const users = { prefix: 'user-', count: scale.pick(200, 80) };
    const env = { PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25' };
    const starts: (() => Promise<System>)[] = [...rollcalls(scale, { env }), () => startTutorial({ ttlSeconds: 3600 })];
    return sideBySide(starts, async (stations) => {
      const watchers = { prefix: 'watcher-', count: WATCHERS };
      for (const { system, crowd } of stations) {
        await crowd.ask('connect', arrival(system, users, { perSecond: 100 }));
        await crowd.ask('connect', arrival(system, watchers, { perSecond: 100 }));
        await crowd.ask('watch', watchers, users);
      }
      await pause(2000);
      const tally = new Tally();
      const turn = async ({ system, crowd }: (typeof stations)[number], round: number | 'warm') => {
        const expected = 2 * users.count * WATCHERS;
        await crowd.ask('listen', null);
        let told = 0;
        const cost = await costBeyondIdle(system, IDLE_SECONDS, async () => {
          for (const status of ['inactive', 'active'] as const) {
            await crowd.ask('say', users, status, users.count, PER_SECOND);
          }
          told = (await crowd.ask('untilTold', expected, TOLD_LIMIT_MS)).changes;
          await pause(SETTLE_MS);
        });
        if (told !== expected) throw new Error(`${system.name} told ${told} of ${expected} events`);
        if (round !== 'warm') tally.addMicros(system.name, cost, expected);
      };
      for (const station of stations) await turn(station, 'warm');
      const cpuJobMs = await rounds(scale, stations, turn);
      return {
        cpuJobMs,
        rows: [
          {
            what: `an event told, ${WATCHERS} watchers, no login; ${PER_SECOND} changes of status a second`,
            unit: 'µs CPU',
            values: {
              rollcall: tally.of('rollcall'),
              before: tally.of('before'),
              tutorial: tally.of('tutorial'),
            },
            targets: [{ atMost: 0.9, of: 'tutorial' as const }],
            parts: tally.partsOf('rollcall'),
          },
        ],
      };
    });
  },
};
