import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../measure/figure.ts';
import { costBeyondIdle, rounds, Tally } from '../measure/rounds.ts';
import { startTutorial } from '../systems/baselines.ts';
import { rollcalls } from '../systems/rollcall.ts';
import { arrival, sideBySide } from '../systems/side-by-side.ts';
import type { System } from '../systems/system.ts';

const WATCHERS = 200;
const HERE = 10;
const PER_SECOND = 40;
const IDLE_SECONDS = 2;
const SETTLE_MS = 500;
const TOLD_LIMIT_MS = 15_000;

/** What it costs to tell 200 watchers of a room what one of ten there says of themselves: all CPU, by the number of events told. */
export const roomsFanout: Figure = {
  title: 'CPU of an event told, an update in a room to 200 watchers',
  seconds: { full: 90, quick: 40 },
  measure: async (scale) => {
    const updates = scale.pick(400, 80);
    const env = { PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25', ROOMS_OPEN: 'room-' };
    const starts: (() => Promise<System>)[] = [...rollcalls(scale, { env }), () => startTutorial({ ttlSeconds: 3600 })];
    return sideBySide(starts, async (stations) => {
      const [watchers, here, room] = [
        { prefix: 'watcher-', count: WATCHERS },
        { prefix: 'here-', count: HERE },
        { prefix: 'room-', count: 1 },
      ];
      for (const { system, crowd } of stations) {
        await crowd.ask('connect', arrival(system, watchers));
        await crowd.ask('connect', arrival(system, here));
        await crowd.ask('rooms', 'join_room', here, room);
        await crowd.ask('rooms', 'watch_room', watchers, room);
      }
      await pause(3000);
      const tally = new Tally();
      const turn = async ({ system, crowd }: (typeof stations)[number], round: number | 'warm') => {
        await crowd.ask('listen', null);
        // Rollcall tells those who are there of themselves, too; only the watchers are counted on.
        const expected = updates * WATCHERS;
        let told = { changed: 0, frames: 0, late: { p99: Number.NaN } };
        const cost = await costBeyondIdle(system, IDLE_SECONDS, async () => {
          await crowd.ask('updateRooms', here, room, updates, PER_SECOND);
          told = await crowd.ask('untilToldOfRooms', 'changed', expected, TOLD_LIMIT_MS);
          await pause(SETTLE_MS);
        });
        if (told.changed < expected) throw new Error(`${system.name} told ${told.changed} of ${expected} changes`);
        if (round === 'warm') return;
        tally.addMicros(system.name, cost, expected);
        tally.add(`p99 ${system.name}`, told.late.p99);
      };
      for (const station of stations) await turn(station, 'warm');
      const cpuJobMs = await rounds(scale, stations, turn);
      const values = (name: string) => ({
        rollcall: tally.of(`${name}rollcall`),
        before: tally.of(`${name}before`),
        tutorial: tally.of(`${name}tutorial`),
      });
      return {
        cpuJobMs,
        rows: [
          {
            what: `an event told, ${WATCHERS} watchers of a room, update included; ${PER_SECOND} updates a second`,
            unit: 'µs CPU',
            values: values(''),
            parts: tally.partsOf('rollcall'),
          },
          { what: 'from the update until a watcher is told, p99', unit: 'ms', values: values('p99 ') },
        ],
      };
    });
  },
};
