import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../measure/figure.ts';
import { costBeyondIdle, rounds, Tally } from '../measure/rounds.ts';
import { startTutorial } from '../systems/baselines.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { arrival, sideBySide, startCrowd } from '../systems/side-by-side.ts';
import { type System, stopAll } from '../systems/system.ts';

const SETTLE_MS = 500;
const IDLE_SECONDS = 2;
const TOLD_LIMIT_MS = 15_000;
const SIZES = [
  { watchers: 10, perSecond: 100, atMost: 1 },
  { watchers: 200, perSecond: 40, atMost: 0.85 },
];
const MOST_WATCHERS = 200;

/**
 * What it costs to tell that somebody came: all CPU of logins whom so many watch, by the number of events told to watchers.
 * The login itself is in it, as it is in life.
 */
export const change: Figure = {
  title: 'CPU of an event told, one change to 10 and to 200 watchers, login included',
  seconds: { full: 130, quick: 60 },
  measure: async (scale) => {
    const logins = scale.pick([500, 200], [100, 60]);
    const env = {
      PRESENCE_TTL_SECONDS: '3600',
      HEARTBEAT_INTERVAL_SECONDS: '25',
      MAX_WATCHED_USERS: '100000',
    };
    const starts: (() => Promise<System>)[] = [() => startRollcall({ env }), () => startTutorial({ ttlSeconds: 3600 })];
    return sideBySide(starts, async (stations) => {
      const places = stations.map((station) => ({ ...station, comers: startCrowd() }));
      try {
        const some = (round: number | 'warm', size: number) => ({
          prefix: `${round}-${SIZES[size]?.watchers}-`,
          count: logins[size] ?? 0,
        });
        const all: (number | 'warm')[] = ['warm', ...Array.from({ length: scale.repetitions }, (_, round) => round)];
        for (const { system, crowd } of places) {
          await crowd.ask('connect', arrival(system, { prefix: 'watcher-', count: MOST_WATCHERS }));
          for (const [size, { watchers }] of SIZES.entries()) {
            for (const round of all) {
              await crowd.ask('watch', { prefix: 'watcher-', count: watchers }, some(round, size));
            }
          }
        }
        const tally = new Tally();
        const turn = async ({ system, crowd, comers }: (typeof places)[number], round: number | 'warm') => {
          for (const [size, { watchers, perSecond }] of SIZES.entries()) {
            const users = some(round, size);
            await crowd.ask('listen', null);
            const expected = users.count * watchers;
            let told = 0;
            const cost = await costBeyondIdle(system, IDLE_SECONDS, async () => {
              await comers.ask('connect', arrival(system, users, { perSecond }));
              told = (await crowd.ask('untilTold', expected, TOLD_LIMIT_MS)).changes;
              await pause(SETTLE_MS);
            });
            if (told !== expected) throw new Error(`${system.name} told ${told} of ${expected} events`);
            if (round !== 'warm') tally.addMicros(`${size} ${system.name}`, cost, expected);
            await comers.ask('leave', users);
            await pause(1500);
          }
        };
        for (const place of places) await turn(place, 'warm');
        const cpuJobMs = await rounds(scale, places, turn);
        return {
          cpuJobMs,
          rows: SIZES.map(({ watchers, perSecond, atMost }, size) => ({
            what: `an event told, ${watchers} watchers, login included; ${perSecond} logins a second`,
            unit: 'µs CPU',
            values: { rollcall: tally.of(`${size} rollcall`), tutorial: tally.of(`${size} tutorial`) },
            targets: [{ atMost, of: 'tutorial' as const }],
            parts: tally.partsOf(`${size} rollcall`),
          })),
        };
      } finally {
        await stopAll(...places.map(({ comers }) => comers));
      }
    });
  },
};
