import { setTimeout as pause } from 'node:timers/promises';
import type { HttpLoad } from '../load/http-load.ts';
import { Helper } from '../load/rpc.ts';
import type { Figure } from '../measure/figure.ts';
import { costBeyondIdle, costOf, rounds, Tally } from '../measure/rounds.ts';
import { startTutorial } from '../systems/baselines.ts';
import { rollcalls } from '../systems/rollcall.ts';
import { arrival, sideBySide, startCrowd } from '../systems/side-by-side.ts';
import { type System, stopAll } from '../systems/system.ts';

const HERE = 50;
const IDLE_SECONDS = 2;
const SETTLE_MS = 500;
const TOLD_LIMIT_MS = 15_000;
const SERVICES = 20;

/**
 * What it costs to come to a room where fifty are, who are told, and to list who is there: all CPU, by the number of joins and of lists.
 * Each join is to a room of its own, so that none is told to more. With two webs, for which by hand all sockets of both are asked.
 */
export const roomsJoin: Figure = {
  title: 'CPU of a join that 50 are told of, and of a list of 50, two webs',
  seconds: { full: 130, quick: 60 },
  measure: async (scale) => {
    const joins = scale.pick(500, 100);
    const seconds = scale.pick(4, 2);
    const env = {
      PRESENCE_TTL_SECONDS: '3600',
      HEARTBEAT_INTERVAL_SECONDS: '25',
      MAX_ROOMS_PER_SESSION: '200',
      ROOMS_OPEN: 'room-',
    };
    const starts: (() => Promise<System>)[] = [
      ...rollcalls(scale, { webs: 2, env }),
      () => startTutorial({ webs: 2, ttlSeconds: 3600 }),
    ];
    const load = new Helper<HttpLoad>('bench/load/http-load.ts');
    return sideBySide(starts, async (stations) => {
      const places = stations.map((station) => ({ ...station, comers: startCrowd() }));
      try {
        const joiners = { prefix: 'joiner-', count: joins };
        const groups = Math.ceil(joins / 100);
        for (const { system, crowd, comers } of places) {
          await comers.ask('connect', arrival(system, joiners));
          // A user is in 200 rooms at most: fifty others for every hundred.
          for (let group = 0; group < groups; group++) {
            const here = { prefix: `here-${group}-`, count: HERE };
            const [one, other] = [
              { ...here, count: HERE / 2 },
              { ...here, from: HERE / 2, count: HERE / 2 },
            ];
            await crowd.ask('connect', arrival(system, one));
            await crowd.ask('connect', { ...arrival(system, other), url: system.urls[1] ?? system.urls[0] });
            for (let room = group * 100; room < Math.min(joins, (group + 1) * 100); room++) {
              await crowd.ask('rooms', 'join_room', here, { prefix: 'room-', from: room, count: 1 });
            }
          }
        }
        // A worker that has started compares all lists once.
        await pause(8000);
        const tally = new Tally();
        const rooms = { prefix: 'room-', count: joins };
        const turn = async ({ system, crowd, comers }: (typeof places)[number], round: number | 'warm') => {
          await crowd.ask('listen', null);
          let told = 0;
          const cost = await costBeyondIdle(system, IDLE_SECONDS, async () => {
            await comers.ask('rooms', 'join_room', joiners, rooms, 100);
            told = (await crowd.ask('untilToldOfRooms', 'joined', joins * HERE, TOLD_LIMIT_MS)).joined;
            await pause(SETTLE_MS);
          });
          if (told !== joins * HERE) throw new Error(`${system.name} told ${told} of ${joins * HERE} joins`);
          await comers.ask('rooms', 'leave_room', joiners, rooms);
          await pause(1500);
          let lists = Number.NaN;
          const work = {
            url: system.urls[0],
            secret: system.secret,
            services: SERVICES,
            users: 1,
            atOnce: 16,
            seconds,
          };
          const listing = await costOf(system, async () => {
            lists = (await load.ask('run', { ...work, ask: 'room', roomId: 'room-0' })).requests;
          });
          if (round === 'warm') return;
          tally.addMicros(`join ${system.name}`, cost, joins);
          tally.addMicros(`list ${system.name}`, listing, lists);
        };
        for (const place of places) await turn(place, 'warm');
        const cpuJobMs = await rounds(scale, places, turn);
        const row = (name: string, what: string, atMost: number) => ({
          what,
          unit: 'µs CPU',
          values: {
            rollcall: tally.of(`${name} rollcall`),
            before: tally.of(`${name} before`),
            tutorial: tally.of(`${name} tutorial`),
          },
          targets: [{ atMost, of: 'tutorial' as const }],
          parts: tally.partsOf(`${name} rollcall`),
        });
        return {
          cpuJobMs,
          rows: [
            row('join', `a join that ${HERE} are told of; 100 joins a second`, 1.5),
            row('list', `GET a list of ${HERE}`, 0.2),
          ],
        };
      } finally {
        await stopAll(load, ...places.map(({ comers }) => comers));
      }
    });
  },
};
