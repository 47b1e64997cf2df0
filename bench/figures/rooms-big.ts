import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { HttpLoad } from '../load/http-load.ts';
import { Helper } from '../load/rpc.ts';
import { type Figure, say } from '../measure/figure.ts';
import { usedMemory } from '../measure/redis-figures.ts';
import { rounds, Tally } from '../measure/rounds.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { arrival, sideBySide, startCrowd } from '../systems/side-by-side.ts';
import { stopAll } from '../systems/system.ts';

const CONNECTS_PER_SECOND = 500;
const FILL_PER_SECOND = 1000;
const STORM_SECONDS = 3;
/** Pairs in rooms of two, in each of which one says something and the other is told. */
const PAIRS = 20;
const PROBES_PER_SECOND = 100;
const SERVICES = 20;
/** The streams to webs keep what was delivered for half a minute, and a change of somebody's rooms is remembered for a minute. */
const FADES_MS = 75_000;
const TOLD_LIMIT_MS = 15_000;

/** A room of ten thousand: what a user who rests in it takes in Redis, its first page, and how late others are while a thousand a second come. */
export const roomsBig: Figure = {
  title: 'A room of 10,000: Redis of a user at rest, its first page, 1,000 joins a second beside others',
  seconds: { full: 220, quick: 130 },
  measure: async (scale) => {
    const here = scale.pick(10_000, 1000);
    const perSecond = scale.pick(1000, 200);
    const comers = perSecond * STORM_SECONDS;
    const env = { PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25', ROOMS_OPEN: 'room-' };
    const load = new Helper<HttpLoad>('bench/load/http-load.ts');
    return sideBySide([() => startRollcall({ env })], async ([station]) => {
      if (!station) throw new Error('Nothing was started.');
      const { system, crowd } = station;
      const pairs = startCrowd();
      const redis = new Redis(system.redisUrl ?? '');
      try {
        const [users, big, small] = [
          { prefix: 'user-', count: here },
          { prefix: 'room-big-', count: 1 },
          { prefix: 'room-small-', count: PAIRS },
        ];
        const newcomers = { prefix: 'user-', from: here, count: comers };
        const paired = { prefix: 'pair-', count: PAIRS };
        const watching = { prefix: 'other-', count: PAIRS };
        await crowd.ask(
          'connect',
          arrival(system, { ...users, count: here + comers }, { perSecond: CONNECTS_PER_SECOND }),
        );
        for (const each of [paired, watching]) {
          await pairs.ask('connect', arrival(system, each));
          await pairs.ask('rooms', 'join_room', each, small);
        }
        await pause(FADES_MS);
        const before = await atRest(redis);
        await crowd.ask('rooms', 'join_room', users, big, FILL_PER_SECOND);
        say(`${here} are in the room`);
        await pause(FADES_MS);
        const bytes = ((await atRest(redis)) - before) / here;
        const tally = new Tally();
        const cpuJobMs = await rounds(scale, [system], async () => {
          const work = {
            url: system.urls[0],
            secret: system.secret,
            services: SERVICES,
            users: 1,
            atOnce: 1,
            seconds: 2,
          };
          const { late } = await load.ask('run', { ...work, ask: 'room', roomId: 'room-big-0' });
          tally.add('page', late.p99);
          for (const storm of [false, true]) {
            await pairs.ask('listen', null);
            const probes = PROBES_PER_SECOND * STORM_SECONDS;
            const coming = storm ? crowd.ask('rooms', 'join_room', newcomers, big, perSecond) : null;
            await pairs.ask('updateRooms', paired, small, probes, PROBES_PER_SECOND);
            const told = await pairs.ask('untilToldOfRooms', 'changed', probes, TOLD_LIMIT_MS);
            await coming;
            tally.add(storm ? 'storm' : 'calm', told.late.p99);
          }
          await crowd.ask('rooms', 'leave_room', newcomers, big);
          await pause(3000);
        });
        const values = (name: string) => ({ rollcall: tally.of(name) });
        return {
          cpuJobMs,
          rows: [
            {
              what: `a user who rests in a room of ${here}, in Redis beside what they take anyway`,
              unit: 'bytes',
              values: { rollcall: [bytes] },
              targets: [{ atMost: 200 }],
            },
            { what: `GET the first page of it, p99`, unit: 'ms', values: values('page'), targets: [{ atMost: 20 }] },
            {
              what: `from an update in a room of two until the other is told, p99, while ${perSecond} a second come to that of ${here}`,
              unit: 'ms',
              values: values('storm'),
              targets: [{ atMost: 100 }],
              parts: { 'while nobody comes': tally.of('calm') },
            },
          ],
        };
      } finally {
        redis.disconnect();
        await stopAll(load, pairs);
      }
    });
  },
};

/** What Redis keeps beside its own notes of what was slow, which are some hundred kilobytes on a machine that is. */
async function atRest(redis: Redis): Promise<number> {
  await redis.slowlog('RESET');
  return usedMemory(redis);
}
