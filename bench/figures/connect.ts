import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../measure/figure.ts';
import { beyond, costBeyondIdle, rounds, Tally } from '../measure/rounds.ts';
import { startBare, startTutorial } from '../systems/baselines.ts';
import { rollcalls } from '../systems/rollcall.ts';
import { arrival, sideBySide } from '../systems/side-by-side.ts';
import type { System } from '../systems/system.ts';

const SETTLE_MS = 1500;
const IDLE_SECONDS = 2;

/**
 * What it costs that somebody comes, and that they come and leave: all CPU until everything that follows is done (told,
 * recorded in PostgreSQL), less that of doing nothing. Everybody is new to the deployment, which is the dearest case.
 */
export const connect: Figure = {
  title: 'CPU of a connect, and of a connect and a disconnect',
  seconds: { full: 150, quick: 50 },
  measure: async (scale) => {
    const users = scale.pick(1500, 300);
    const perSecond = scale.pick(300, 150);
    const env = { PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25' };
    const starts: (() => Promise<System>)[] = [
      ...rollcalls(scale, { env }),
      () => startBare(),
      () => startTutorial({ ttlSeconds: 3600 }),
    ];
    return sideBySide(starts, async (stations) => {
      // The first thousand find code that has not run hot.
      for (const { system, crowd } of stations) {
        const first = { prefix: 'first-', count: scale.pick(1000, 300) };
        await crowd.ask('connect', arrival(system, first, { perSecond: 500 }));
        await crowd.ask('leave', first, 500);
      }
      await pause(SETTLE_MS);
      const tally = new Tally();
      const cpuJobMs = await rounds(scale, stations, async ({ system, crowd }, round) => {
        const some = { prefix: `round-${round}-`, count: users };
        const costOfAll = (work: () => Promise<unknown>) =>
          costBeyondIdle(system, IDLE_SECONDS, async () => {
            await work();
            await pause(SETTLE_MS);
          });
        const came = await costOfAll(() => crowd.ask('connect', arrival(system, some, { perSecond })));
        const left = await costOfAll(() => crowd.ask('leave', some, perSecond));
        tally.addMicros(`connect ${system.name}`, came, users);
        tally.addMicros(`both ${system.name}`, beyond(came, left, -1), users);
      });
      const row = (name: string, what: string) => ({
        what: `${what}; ${perSecond} a second`,
        unit: 'µs CPU',
        values: {
          rollcall: tally.of(`${name} rollcall`),
          before: tally.of(`${name} before`),
          bare: tally.of(`${name} bare`),
          tutorial: tally.of(`${name} tutorial`),
        },
        targets: [{ atMost: 1.2, of: 'tutorial' as const }],
        parts: tally.partsOf(`${name} rollcall`),
      });
      return { cpuJobMs, rows: [row('connect', 'a connect'), row('both', 'a connect and a disconnect')] };
    });
  },
};
