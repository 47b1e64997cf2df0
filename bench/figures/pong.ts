import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../measure/figure.ts';
import { costBeyondIdle, costOf, rounds, Tally } from '../measure/rounds.ts';
import { median } from '../measure/statistics.ts';
import { startTutorial } from '../systems/baselines.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { arrival, sideBySide } from '../systems/side-by-side.ts';
import type { System } from '../systems/system.ts';

const PING_SECONDS = 2;

/**
 * What it costs that an answer to a ping counts as a heartbeat: CPU of users in `pong` mode less that of as many who are pinged
 * as often and do not beat, beside a heartbeat of the tutorial's at the same pace. Pings come more often than in life.
 */
export const pong: Figure = {
  title: 'CPU of a heartbeat in pong mode, beyond ping and pong',
  seconds: { full: 110, quick: 50 },
  measure: async (scale) => {
    const users = scale.pick(2000, 500);
    const [warmSeconds, seconds] = scale.pick([6, 10], [4, 6]);
    const beats = (users * seconds) / PING_SECONDS;
    const env = {
      PRESENCE_TTL_SECONDS: '3600',
      HEARTBEAT_INTERVAL_SECONDS: String(PING_SECONDS),
      HEARTBEAT_MIN_INTERVAL_SECONDS: '0.5',
    };
    const kinds = ['silent', 'pong', 'tutorial'] as const;
    const starts: (() => Promise<System>)[] = [
      () => startRollcall({ env }),
      () => startRollcall({ env }),
      () => startTutorial({ ttlSeconds: 3600 }),
    ];
    return sideBySide(starts, async (stations) => {
      const places = stations.map((station, n) => ({ ...station, kind: kinds[n] ?? 'silent' }));
      for (const { system, crowd, kind } of places) {
        const auth = kind === 'pong' ? { heartbeat: 'pong' } : {};
        await crowd.ask('connect', arrival(system, { prefix: 'user-', count: users }, { auth }));
      }
      const tutorial = places.find(({ kind }) => kind === 'tutorial');
      await Promise.all([tutorial?.crowd.ask('beat', PING_SECONDS * 1000, warmSeconds), pause(warmSeconds * 1000)]);
      const tally = new Tally();
      const cpuJobMs = await rounds(scale, places, async ({ system, crowd, kind }) => {
        if (kind !== 'tutorial') {
          tally.addMicros(kind, await costOf(system, () => pause(seconds * 1000)), beats);
          return;
        }
        const beat = () => crowd.ask('beat', PING_SECONDS * 1000, seconds);
        tally.addMicros(kind, await costBeyondIdle(system, seconds / 2, beat), beats);
      });
      const [silent, ponging] = [tally.of('silent'), tally.of('pong')];
      return {
        cpuJobMs,
        rows: [
          {
            what: `a heartbeat in pong mode beyond ping and pong; ${users} users, ${users / PING_SECONDS} a second`,
            unit: 'µs CPU',
            values: {
              rollcall: ponging.map((value, n) => value - (silent[n] ?? Number.NaN)),
              tutorial: tally.of('tutorial'),
            },
            targets: [{ atMost: 0.15, of: 'tutorial' as const }],
            parts: { 'ping, pong and idle alone': [median(silent)] },
          },
        ],
      };
    });
  },
};
