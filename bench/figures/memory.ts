import { setTimeout as pause } from 'node:timers/promises';
import { type Figure, say } from '../measure/figure.ts';
import { cpuMs, pssKiB } from '../measure/processes.ts';
import { Tally } from '../measure/rounds.ts';
import { startBare, startTutorial } from '../systems/baselines.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { arrival, sideBySide } from '../systems/side-by-side.ts';
import type { System } from '../systems/system.ts';

const SETTLE_MS = 3000;
/** On a busy machine it takes what it takes: until they spend no more than an idle process does. */
const COLLECT_MS = 1000;
const COLLECTED = 0.2;
const COLLECT_LIMIT_MS = 60_000;

/**
 * What a connected user keeps in memory: PSS of all processes with many users less that with some, by the number between,
 * after all programs have collected their garbage; and without that, as it would be found on a machine.
 */
export const memory: Figure = {
  title: 'Memory of a connected idle user at 10,000',
  seconds: { full: 200, quick: 60 },
  measure: async (scale) => {
    const [some, many] = scale.pick([1000, 10_000], [200, 1200]);
    const nodeArgs = ['--expose-gc', '--import', './bench/measure/collect.ts'];
    const env = { PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25' };
    const starts: (() => Promise<System>)[] = [
      () => startRollcall({ env, nodeArgs }),
      () => startBare({ nodeArgs }),
      () => startTutorial({ ttlSeconds: 3600, nodeArgs }),
    ];
    const tally = new Tally();
    for (let round = 0; round < scale.repetitions; round++) {
      say(`round ${round + 1} of ${scale.repetitions}`);
      // Fresh processes each time: what a heap has once grown to it does not give back.
      await sideBySide(starts, async (stations) => {
        const connect = async (from: number, to: number) => {
          for (const { system, crowd } of stations) {
            await crowd.ask('connect', arrival(system, { prefix: 'user-', from, count: to - from }));
          }
          await pause(SETTLE_MS);
        };
        const read = (system: System) =>
          new Map(Object.entries(system.parts).map(([part, pids]) => [part, pssKiB(pids)] as const));
        const readAll = () => stations.map(({ system }) => read(system));
        const collected = async () => {
          for (const { system } of stations) for (const pid of system.programs()) process.kill(pid, 'SIGUSR2');
          await settled(stations.map(({ system }) => system));
          return readAll();
        };
        await connect(0, some);
        const before = await collected();
        await connect(some, many);
        const found = readAll();
        const after = await collected();
        for (const [n, { system }] of stations.entries()) {
          const grown = (now: Map<string, number>[]) =>
            [...(now[n] ?? [])].map(
              ([part, kib]) => [part, (kib - (before[n]?.get(part) ?? 0)) / (many - some)] as const,
            );
          const sum = (parts: (readonly [string, number])[]) => parts.reduce((total, [, kib]) => total + kib, 0);
          const needed = grown(after);
          tally.add(system.name, sum(needed));
          for (const [part, kib] of needed) tally.add(`${system.name}/${part}`, kib);
          tally.add(`found ${system.name}`, sum(grown(found)));
        }
      });
    }
    const values = (prefix: string) => ({
      rollcall: tally.of(`${prefix}rollcall`),
      bare: tally.of(`${prefix}bare`),
      tutorial: tally.of(`${prefix}tutorial`),
    });
    return {
      rows: [
        {
          what: `a connected idle user at ${many}, all processes, garbage collected`,
          unit: 'KiB PSS',
          values: values(''),
          targets: [{ atMost: 1.15, of: 'bare' }],
          parts: tally.partsOf('rollcall'),
        },
        { what: `the same just after ${many - some} have connected`, unit: 'KiB PSS', values: values('found ') },
      ],
    };
  },
};

/** Resolves when the programs of these systems use little of the processor. */
async function settled(systems: System[]): Promise<void> {
  const until = performance.now() + COLLECT_LIMIT_MS;
  const read = () => systems.map((system) => cpuMs(system.programs));
  for (let before = read(); performance.now() < until; ) {
    await pause(COLLECT_MS);
    const now = read();
    if (now.every((ms, n) => ms - (before[n] ?? 0) < COLLECTED * COLLECT_MS)) return;
    before = now;
  }
}
