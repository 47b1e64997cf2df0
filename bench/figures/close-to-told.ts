import { setTimeout as pause } from 'node:timers/promises';
import { LightClient } from '../load/light-client.ts';
import { signToken } from '../load/tokens.ts';
import type { Change } from '../load/told.ts';
import { type Figure, say } from '../measure/figure.ts';
import { cpuJob } from '../measure/machine.ts';
import { Tally } from '../measure/rounds.ts';
import { short, spreadOf } from '../measure/statistics.ts';
import { startTutorial } from '../systems/baselines.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { type System, stopAll } from '../systems/system.ts';

const PAUSE_MS = 30;
const LOST_MS = 5000;
const WATCHED_AT_ONCE = 1000;

/** How long it takes from a client's goodbye on one web to a watcher's event on another, in a quiet deployment. */
export const closeToTold: Figure = {
  title: 'From a close to a watcher told, two webs, quiet',
  seconds: { full: 95, quick: 35 },
  measure: async (scale) => {
    const closes = scale.pick(200, 60);
    const systems: System[] = [];
    const tally = new Tally();
    const cpuJobMs: number[] = [];
    try {
      systems.push(await startRollcall({ webs: 2, env: { MAX_WATCHED_USERS: '100000' } }));
      systems.push(await startTutorial({ webs: 2 }));
      const users = Array.from({ length: closes * scale.repetitions }, (_, n) => `user-${n}`);
      const places = [];
      for (const system of systems) places.push({ system, watcher: await Watcher.at(system, users) });
      for (let round = 0; round < scale.repetitions; round++) {
        const job = cpuJob();
        cpuJobMs.push(job.cpuMs);
        say(`round ${round + 1} of ${scale.repetitions}; fixed CPU job ${short(job.cpuMs)} ms`);
        const tookMs = places.map((): number[] => []);
        for (const userId of users.slice(round * closes, (round + 1) * closes)) {
          for (const [n, { system, watcher }] of places.entries())
            tookMs[n]?.push(await oneClose(system, watcher, userId));
        }
        for (const [n, { system }] of places.entries()) {
          const { p50, p99 } = spreadOf(tookMs[n] ?? []);
          tally.add(`p50 ${system.name}`, p50);
          tally.add(`p99 ${system.name}`, p99);
        }
      }
      for (const { watcher } of places) watcher.leave();
    } finally {
      await stopAll(...systems);
    }
    const row = (name: string, atMost: number) => ({
      what: `from a close to a watcher told, two webs, ${name}`,
      unit: 'ms',
      values: { rollcall: tally.of(`${name} rollcall`), tutorial: tally.of(`${name} tutorial`) },
      targets: [{ atMost }],
    });
    return { cpuJobMs, rows: [row('p50', 10), row('p99', 30)] };
  },
};

async function oneClose(system: System, watcher: Watcher, userId: string): Promise<number> {
  const user = new LightClient({ event: () => {}, lost: () => {} });
  const came = watcher.told(userId, 'active');
  await user.connect({ url: system.urls[0], readyOn: 'ready', auth: { token: tokenFor(system, userId), watch: [] } });
  await came;
  await pause(PAUSE_MS);
  const left = watcher.told(userId, 'inactive');
  const from = performance.now();
  user.leave();
  return (await left) - from;
}

function tokenFor(system: System, userId: string): string {
  return signToken(system.secret ?? '', userId);
}

/** A client on the second web that watches them all. */
class Watcher {
  readonly #client: LightClient;
  readonly #waiting = new Map<string, (at: number) => void>();

  private constructor() {
    this.#client = new LightClient({
      event: (packet) => {
        const [event, change] = JSON.parse(packet.toString('latin1', 2)) as [string, Change];
        if (event === 'user_status_change') this.#waiting.get(`${change.userId} ${change.status}`)?.(performance.now());
      },
      lost: () => {},
    });
  }

  static async at(system: System, userIds: string[]): Promise<Watcher> {
    const watcher = new Watcher();
    const url = system.urls[1] ?? system.urls[0];
    await watcher.#client.connect({ url, readyOn: 'ready', auth: { token: tokenFor(system, 'watcher'), watch: [] } });
    for (let n = 0; n < userIds.length; n += WATCHED_AT_ONCE) {
      await watcher.#client.ask('watch', { userIds: userIds.slice(n, n + WATCHED_AT_ONCE) });
    }
    return watcher;
  }

  /** When it was told (performance.now()). */
  told(userId: string, status: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Nobody was told that ${userId} is ${status}.`)), LOST_MS);
      this.#waiting.set(`${userId} ${status}`, (at) => {
        clearTimeout(timer);
        this.#waiting.delete(`${userId} ${status}`);
        resolve(at);
      });
    });
  }

  leave(): void {
    this.#client.leave();
  }
}
