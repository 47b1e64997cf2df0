import { mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { idsOf } from './load/crowd.ts';
import type { HttpLoad } from './load/http-load.ts';
import type { Restless, Restlessness } from './load/restless.ts';
import { Helper } from './load/rpc.ts';
import { tallyProfile } from './measure/profile-tally.ts';
import { costOf } from './measure/rounds.ts';
import { noteScripts, scriptCosts } from './measure/script-costs.ts';
import { short } from './measure/statistics.ts';
import { type Rollcall, startRollcall } from './systems/rollcall.ts';
import { arrival, startCrowd } from './systems/side-by-side.ts';
import { stopAll } from './systems/system.ts';

const FOLDER = '.data/bench';
const WRITES_MS = 4000;
const WATCHERS = 200;

type Crowd = ReturnType<typeof startCrowd>;
/** Gets everything ready and returns what is then looked at. */
type Work = (system: Rollcall, crowd: Crowd) => Promise<(seconds: number) => Promise<unknown>>;

const works: Record<string, Work> = {
  nothing: async () => (seconds) => pause(seconds * 1000),
  heartbeats: async (system, crowd) => {
    await crowd.ask('connect', arrival(system, { prefix: 'user-', count: 2000 }));
    return (seconds) => crowd.ask('beat', 2000, seconds);
  },
  connects: async (system, crowd) => {
    let from = 0;
    return async (seconds) => {
      const users = { prefix: 'user-', from, count: 300 * seconds };
      from += users.count;
      await crowd.ask('connect', arrival(system, users, { perSecond: 300 }));
    };
  },
  changes: async (system, crowd) => {
    const watchers = { prefix: 'watcher-', count: WATCHERS };
    await crowd.ask('connect', arrival(system, watchers));
    await crowd.ask('watch', watchers, { prefix: 'user-', count: 1000 });
    let from = 0;
    return async (seconds) => {
      const users = { prefix: 'user-', from, count: 40 * seconds };
      from += users.count;
      await crowd.ask('connect', arrival(system, users, { perSecond: 40 }));
    };
  },
  statuses: async (system, crowd) => {
    const users = { prefix: 'user-', count: 200 };
    const watchers = { prefix: 'watcher-', count: WATCHERS };
    await crowd.ask('connect', arrival(system, users));
    await crowd.ask('connect', arrival(system, watchers));
    await crowd.ask('watch', watchers, users);
    return async (seconds) => {
      for (const status of ['inactive', 'active'] as const) {
        await crowd.ask('say', users, status, 20 * seconds, 40);
      }
    };
  },
  settings: async (system, crowd) => await restless(system, crowd, 'settings'),
  blocks: async (system, crowd) => await restless(system, crowd, 'blocks'),
  comings: async (system, crowd) => {
    let from = 0;
    return async (seconds) => {
      const users = { prefix: 'user-', from, count: 150 * seconds };
      from += users.count;
      await crowd.ask('connect', arrival(system, users, { perSecond: 300 }));
      await crowd.ask('leave', users, 300);
    };
  },
  // Into rooms where fifty are, and out again.
  joins: async (system, crowd) => {
    const [here, joiners, rooms] = [
      { prefix: 'here-', count: 50 },
      { prefix: 'user-', count: 50 },
      { prefix: 'room-', count: 50 },
    ];
    for (const users of [here, joiners]) await crowd.ask('connect', arrival(system, users));
    for (let from = 0; from < rooms.count; from++)
      await crowd.ask('rooms', 'join_room', here, { ...rooms, from, count: 1 });
    // A worker that has started compares all lists once.
    await pause(8000);
    return async (seconds) => {
      for (let second = 0; second < seconds; second++) {
        for (const event of ['join_room', 'leave_room'] as const) await crowd.ask('rooms', event, joiners, rooms, 100);
      }
    };
  },
  // Ten in a room say something of themselves, four times a second each, to two hundred who watch.
  updates: async (system, crowd) => {
    const [watchers, here, room] = [
      { prefix: 'watcher-', count: WATCHERS },
      { prefix: 'here-', count: 10 },
      { prefix: 'room-', count: 1 },
    ];
    for (const users of [watchers, here]) await crowd.ask('connect', arrival(system, users));
    await crowd.ask('rooms', 'watch_room', watchers, room);
    await crowd.ask('rooms', 'join_room', here, room);
    return (seconds) => crowd.ask('updateRooms', here, room, 40 * seconds, 40);
  },
  lists: async (system, crowd) => {
    const here = { prefix: 'here-', count: 50 };
    await crowd.ask('connect', arrival(system, here));
    await crowd.ask('rooms', 'join_room', here, { prefix: 'room-', count: 1 });
    return await http(system, crowd, 'room', 16);
  },
  gets: async (system, crowd) => await http(system, crowd, 'get', 32),
  queries: async (system, crowd) => await http(system, crowd, 'query', 1),
};

export const WORKS = Object.keys(works);

/** Where the Node processes of Rollcall spend their time under some work: their profiles, and the top of them printed. */
export async function profile(name: string, seconds = 10): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const file = `${FOLDER}/profile-${name}`;
  const system = await startRollcall({
    nodeArgs: ['--import', './bench/measure/profiler.ts'],
    env: {
      PRESENCE_TTL_SECONDS: '3600',
      HEARTBEAT_INTERVAL_SECONDS: '25',
      HEARTBEAT_MIN_INTERVAL_SECONDS: '0.5',
      MAX_WATCHED_USERS: '100000',
      ROOMS_OPEN: 'room-',
      PROFILE_FILE: file,
    },
  });
  const crowd = startCrowd();
  try {
    const work = await works[name]?.(system, crowd);
    await work?.(seconds / 2);
    const signal = () => {
      for (const pid of system.programs()) process.kill(pid, 'SIGUSR2');
    };
    signal();
    await pause(500);
    const stores = await StoreCounts.begin(system);
    const { parts } = await costOf(system, async () => work?.(seconds));
    const { commands, scripts, commits } = await stores.end(seconds);
    signal();
    await pause(WRITES_MS);
    console.log(`Redis commands, those of scripts included; ${short(commits)} commits a second in PostgreSQL`);
    console.table(commands.slice(0, 20));
    console.log('Scripts, with what they call');
    console.table(scripts.slice(0, 16));
    console.log(
      `CPU ms a second, profiling included: ${Object.entries(parts)
        .map(([part, ms]) => `${part} ${short(ms / seconds)}`)
        .join(', ')}`,
    );
    for (const part of ['web', 'worker'] as const) {
      const path = `${file}-${system.stack.pids[part][0]}.cpuprofile`;
      const { busyShare, functions, packages } = tallyProfile(path);
      console.log(`\n${part}, busy ${short(busyShare * 100)} % of the time; ${path}`);
      console.table(packages.slice(0, 20));
      console.table(functions);
    }
  } finally {
    await stopAll(crowd, system);
  }
}

/** What the stores are asked, between two moments. */
class StoreCounts {
  readonly #redis: Redis;
  readonly #db: pg.Client;
  #calls = new Map<string, { calls: number; micros: number }>();
  #commits = 0;

  private constructor(redis: Redis, db: pg.Client) {
    this.#redis = redis;
    this.#db = db;
  }

  static async begin({ stack }: Rollcall): Promise<StoreCounts> {
    const counts = new StoreCounts(new Redis(stack.redisUrl), new pg.Client({ connectionString: stack.databaseUrl }));
    await counts.#db.connect();
    counts.#calls = await counts.#read();
    counts.#commits = await counts.#readCommits();
    await noteScripts(counts.#redis);
    return counts;
  }

  async end(seconds: number) {
    const commits = ((await this.#readCommits()) - this.#commits) / seconds;
    const commands = [...(await this.#read())].map(([command, { calls, micros }]) => {
      const before = this.#calls.get(command) ?? { calls: 0, micros: 0 };
      const [callsPerSecond, microsPerSecond] = [(calls - before.calls) / seconds, (micros - before.micros) / seconds];
      return { command, callsPerSecond, microsPerSecond, each: microsPerSecond / callsPerSecond };
    });
    const scripts = await scriptCosts(this.#redis);
    this.#redis.disconnect();
    await this.#db.end();
    commands.sort((a, b) => b.microsPerSecond - a.microsPerSecond);
    return {
      commits,
      scripts: scripts.map(({ script, calls, micros }) => ({
        script,
        'calls a second': short(calls / seconds),
        'µs a second': short(micros / seconds),
        'µs each': short(micros / calls),
      })),
      commands: commands.map(({ command, callsPerSecond, microsPerSecond, each }) => ({
        command,
        'calls a second': short(callsPerSecond),
        'µs a second': short(microsPerSecond),
        'µs each': short(each),
      })),
    };
  }

  async #read() {
    const lines = (await this.#redis.info('commandstats')).matchAll(/^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm);
    return new Map(
      [...lines].map(([, name = '', calls, micros]) => [name, { calls: Number(calls), micros: Number(micros) }]),
    );
  }

  async #readCommits(): Promise<number> {
    const { rows } = await this.#db.query(
      'SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()',
    );
    return Number(rows[0]?.xact_commit);
  }
}

async function restless(system: Rollcall, crowd: Crowd, doing: Restlessness['doing']) {
  const viewers = { prefix: 'viewer-', count: WATCHERS };
  await crowd.ask('connect', arrival(system, viewers));
  await crowd.ask('watch', viewers, { prefix: 'restless-', count: 1 });
  const user = new Helper<Restless>('bench/load/restless.ts');
  await user.ask('come', system.urls[0], system.secret, 'restless-0');
  return (seconds: number) => user.ask('change', { doing, perSecond: 100, seconds, others: idsOf(viewers) });
}

async function http(system: Rollcall, crowd: Crowd, ask: 'get' | 'query' | 'room', atOnce: number) {
  await crowd.ask('connect', arrival(system, { prefix: 'user-', count: 1000 }));
  const load = new Helper<HttpLoad>('bench/load/http-load.ts');
  const work = { url: system.urls[0], secret: system.secret, services: 20, ask, users: 1000, roomId: 'room-0', atOnce };
  return (seconds: number) => load.ask('run', { ...work, seconds });
}
