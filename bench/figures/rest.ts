import { setTimeout as pause } from 'node:timers/promises';
import type { HttpLoad, HttpWork } from '../load/http-load.ts';
import { Helper } from '../load/rpc.ts';
import type { Figure } from '../measure/figure.ts';
import { costOf, rounds, Tally } from '../measure/rounds.ts';
import { startBare, startTutorial } from '../systems/baselines.ts';
import { type Rollcall, rollcalls } from '../systems/rollcall.ts';
import { startSessions } from '../systems/sessions.ts';
import { type System, stopAll } from '../systems/system.ts';

const USERS = 1000;
/** A service may ask 5,000 times a second, and about 200,000 users. */
const SERVICES = 20;

/**
 * What can be asked over HTTP for a second of CPU: of all processes, and of the web alone, which is what a core serves. The
 * yardstick `bare` answers with a fixed text.
 */
export const rest: Figure = {
  title: 'GET status and POST query of 1,000 users',
  seconds: { full: 110, quick: 60 },
  measure: async (scale) => {
    const seconds = scale.pick(4, 2);
    const env = { PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25' };
    const started: { stop(): Promise<void> }[] = [];
    const start = async <T extends { stop(): Promise<void> }>(thing: T | Promise<T>): Promise<T> => {
      const done = await thing;
      started.push(done);
      return done;
    };
    try {
      const own: Rollcall[] = [];
      for (const begin of rollcalls(scale, { env })) own.push(await start(begin()));
      const tutorial = await start(startTutorial({ ttlSeconds: 3600 }));
      const systems: System[] = [...own, await start(startBare()), tutorial];
      const load = await start(new Helper<HttpLoad>('bench/load/http-load.ts'));
      for (const system of [...own, tutorial]) {
        const sessions = await start(startSessions(system));
        await sessions.ask('open', { prefix: 'user-', count: USERS }, 500);
      }
      await pause(1000);
      const tally = new Tally();
      const run = async (system: System, ask: HttpWork['ask'], atOnce: number, note: boolean) => {
        const work = {
          url: system.urls[0],
          secret: system.secret,
          services: SERVICES,
          ask,
          users: USERS,
          atOnce,
          seconds,
        };
        let done: Awaited<ReturnType<HttpLoad['run']>> | undefined;
        const cost = await costOf(system, async () => {
          done = await load.ask('run', work);
        });
        if (!note || !done) return;
        tally.add(`${ask} ${system.name}`, (done.requests * 1000) / cost.ms);
        tally.add(`${ask} ${system.name}/web alone`, (done.requests * 1000) / (cost.parts.web ?? Number.NaN));
        tally.add(`${ask} p99 ${system.name}`, done.late.p99);
      };
      for (const system of systems) {
        await run(system, 'get', 32, false);
        await run(system, 'query', 1, false);
      }
      const cpuJobMs = await rounds(scale, systems, async (system) => {
        await run(system, 'get', 32, true);
        await run(system, 'query', 1, true);
      });
      const row = (name: string, what: string, unit: string) => ({
        what,
        unit,
        values: {
          rollcall: tally.of(`${name} rollcall`),
          before: tally.of(`${name} before`),
          bare: tally.of(`${name} bare`),
          tutorial: tally.of(`${name} tutorial`),
        },
        parts: tally.partsOf(`${name} rollcall`),
      });
      return {
        cpuJobMs,
        rows: [
          { ...row('get', 'GET status', 'requests for a second of CPU'), targets: [{ atLeast: 8000 }] },
          row('query', `POST query of ${USERS}`, 'requests for a second of CPU'),
          { ...row('query p99', `POST query of ${USERS}, p99, one at a time`, 'ms'), targets: [{ atMost: 30 }] },
        ],
      };
    } finally {
      await stopAll(...started.reverse());
    }
  },
};
