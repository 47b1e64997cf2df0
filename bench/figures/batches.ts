import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../measure/figure.ts';
import { costBeyondIdle, rounds, Tally } from '../measure/rounds.ts';
import { startTutorial, type Tutorial } from '../systems/baselines.ts';
import { type Rollcall, startRollcall } from '../systems/rollcall.ts';
import { startSessions } from '../systems/sessions.ts';
import { arrival, sideBySide } from '../systems/side-by-side.ts';
import { stopAll } from '../systems/system.ts';

const QUIET_MS = 700;
const TOLD_LIMIT_MS = 40_000;
const IDLE_SECONDS = 2;

/**
 * A crowd in turmoil: so many users come or leave a second (sessions of a process without sockets, which counts), and every
 * watcher watches a part of them and asked for batches. The tutorial, which has none, is given all the time it needs.
 */
export const batches: Figure = {
  title: '2,000 changes a second, 1,000 watchers of 200 users each, batches',
  seconds: { full: 100, quick: 60 },
  measure: async (scale) => {
    const { watchers, watched, users, perSecond, seconds } = scale.pick(
      { watchers: 1000, watched: 200, users: 2000, perSecond: 2000, seconds: 3 },
      { watchers: 100, watched: 50, users: 200, perSecond: 200, seconds: 3 },
    );
    const groups = users / watched;
    const env = { PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25' };
    const starts: (() => Promise<Rollcall | Tutorial>)[] = [
      () => startRollcall({ env }),
      () => startTutorial({ ttlSeconds: 3600 }),
    ];
    return sideBySide(starts, async (stations) => {
      const places = stations.map((station) => ({ ...station, sessions: startSessions(station.system) }));
      try {
        const all = { prefix: 'user-', count: users };
        for (const { system, crowd, sessions } of places) {
          await crowd.ask(
            'connect',
            arrival(system, { prefix: 'watcher-', count: watchers }, { auth: { batch: true } }),
          );
          for (let group = 0; group < groups; group++) {
            await crowd.ask(
              'watch',
              { prefix: 'watcher-', from: (group * watchers) / groups, count: watchers / groups },
              { prefix: 'user-', from: group * watched, count: watched },
            );
          }
          // Everybody is known, and has left, when it begins; and the code is warm.
          await sessions.ask('comeAndGo', all, users * 2, users / 4);
        }
        await pause(3000);
        const tally = new Tally();
        const changes = perSecond * seconds;
        const cpuJobMs = await rounds(scale, places, async ({ system, crowd, sessions }) => {
          await crowd.ask('listen', { change: true });
          const cost = await costBeyondIdle(system, IDLE_SECONDS, async () => {
            await sessions.ask('comeAndGo', all, changes, perSecond);
            await crowd.ask('untilQuiet', QUIET_MS, TOLD_LIMIT_MS);
          });
          const told = await crowd.ask('told');
          tally.addMicros(system.name, cost, changes);
          tally.add(`last ${system.name}`, told.late.max);
          tally.add(`p99 ${system.name}`, told.late.p99);
          tally.add(`frames ${system.name}`, told.frames / changes);
          tally.add(`events ${system.name}`, told.changes / changes);
        });
        const values = (name: string) => ({
          rollcall: tally.of(`${name}rollcall`),
          tutorial: tally.of(`${name}tutorial`),
        });
        const crowded = `${perSecond} changes a second, ${watchers} watchers of ${watched} of ${users}`;
        return {
          cpuJobMs,
          rows: [
            {
              what: `a change, batches; ${crowded}`,
              unit: 'µs CPU',
              values: values(''),
              targets: [{ atMost: 0.25, of: 'tutorial' as const }],
              parts: tally.partsOf('rollcall'),
            },
            {
              what: 'the last watcher told of a change',
              unit: 'ms',
              values: values('last '),
              targets: [{ atMost: 300 }],
            },
            { what: 'the same, p99', unit: 'ms', values: values('p99 ') },
            { what: 'frames sent for a change', unit: 'frames', values: values('frames ') },
            {
              what: 'events in them (the newest of a user replaces others)',
              unit: 'events',
              values: values('events '),
            },
          ],
        };
      } finally {
        await stopAll(...places.map(({ sessions }) => sessions));
      }
    });
  },
};
