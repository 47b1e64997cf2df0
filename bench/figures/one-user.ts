import { setTimeout as pause } from 'node:timers/promises';
import { idsOf } from '../load/crowd.ts';
import type { Restless, Restlessness } from '../load/restless.ts';
import { Helper } from '../load/rpc.ts';
import { type Figure, say } from '../measure/figure.ts';
import { costBeyondIdle, rounds, Tally } from '../measure/rounds.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { arrival, sideBySide } from '../systems/side-by-side.ts';
import { stopAll } from '../systems/system.ts';

const VIEWERS = 600;
/** The window of the limits, and of the budget for what others are told of one user. */
const SECONDS = 10;
const IDLE_SECONDS = 6;
/** What is gathered is told a second later. */
const SETTLE_MS = 1500;

/** As fast as the limits let one user: of a choice and its end the choice alone is counted. */
const DOINGS: { doing: Restlessness['doing']; what: string; perSecond: number }[] = [
  { doing: 'settings', what: 'settings, everyone and nobody in turn', perSecond: 50 },
  { doing: 'blocks', what: 'blocks and their ends, of a viewer each', perSecond: 50 },
  { doing: 'details', what: 'details', perSecond: 20 },
  { doing: 'statuses', what: 'appearing inactive and back', perSecond: 40 },
];

/**
 * What one user takes from all others by changing things all the time, where everybody is told: CPU beyond that of the same
 * deployment without the changes, as a part of one core.
 */
export const oneUser: Figure = {
  title: `one user who changes all the time, ${VIEWERS} viewers, AUDIENCE=everyone`,
  seconds: { full: 260, quick: 100 },
  measure: async (scale) => {
    const env = { AUDIENCE: 'everyone', PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25' };
    const restless = new Helper<Restless>('bench/load/restless.ts');
    try {
      return await sideBySide([() => startRollcall({ env })], async (stations) => {
        const viewers = { prefix: 'viewer-', count: VIEWERS };
        for (const { system, crowd } of stations) {
          // Whoever does not say whom it watches is told of everybody.
          await crowd.ask(
            'connect',
            arrival(system, viewers, { auth: { watch: undefined }, perSecond: 100, patient: true }),
          );
          await restless.ask('come', system.urls[0], system.secret, 'restless');
        }
        await pause(SETTLE_MS);
        const tally = new Tally();
        const cpuJobMs = await rounds(scale, stations, async ({ system, crowd }) => {
          for (const { doing, perSecond } of DOINGS) {
            const work = { doing, perSecond, seconds: SECONDS, others: idsOf(viewers) };
            await crowd.ask('listen', null);
            let answers = { done: 0, refused: 0 };
            const { ms, parts } = await costBeyondIdle(system, IDLE_SECONDS, async () => {
              answers = await restless.ask('change', work);
              await pause(SETTLE_MS);
            });
            const { changes } = await crowd.ask('told');
            say(`${doing}: ${answers.done} done, ${answers.refused} refused, ${changes} events told`);
            const share = (cpu: number) => (100 * cpu) / (SECONDS * 1000);
            tally.add(doing, share(ms));
            for (const [part, cpu] of Object.entries(parts)) tally.add(`${doing}/${part}`, share(cpu));
          }
        });
        return {
          cpuJobMs,
          rows: DOINGS.map(({ doing, what, perSecond }) => ({
            what: `one user's ${what}; ${perSecond} a second, ${VIEWERS} viewers`,
            unit: '% of a core',
            values: { rollcall: tally.of(doing) },
            parts: tally.partsOf(doing),
          })),
        };
      });
    } finally {
      await stopAll(restless);
    }
  },
};
