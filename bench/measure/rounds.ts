import { setTimeout as pause } from 'node:timers/promises';
import type { System } from '../systems/system.ts';
import { type Scale, say } from './figure.ts';
import { cpuJob } from './machine.ts';
import { cpuMs } from './processes.ts';
import { short } from './statistics.ts';

/** CPU ms, whole and by part of the system. */
export interface Cost {
  ms: number;
  parts: Record<string, number>;
}

/** What all processes of a system spend during some work. */
export async function costOf(system: Pick<System, 'parts'>, work: () => Promise<unknown>): Promise<Cost> {
  const names = Object.keys(system.parts);
  const read = () => names.map((name) => cpuMs(system.parts[name] ?? (() => [])));
  const before = read();
  await work();
  const after = read();
  const parts = Object.fromEntries(names.map((name, n) => [name, (after[n] ?? 0) - (before[n] ?? 0)]));
  return { ms: Object.values(parts).reduce((sum, ms) => sum + ms, 0), parts };
}

/** The cost beyond (`times` as much of) another one. */
export function beyond(cost: Cost, other: Cost, times = 1): Cost {
  const parts = Object.fromEntries(
    Object.entries(cost.parts).map(([name, ms]) => [name, ms - times * (other.parts[name] ?? 0)]),
  );
  return { ms: cost.ms - times * other.ms, parts };
}

/**
 * What some work costs more than doing nothing for as long. What nothing costs is seen for half of `idleSeconds` before and
 * for half behind, for it changes with the minutes.
 */
export async function costBeyondIdle(
  system: Pick<System, 'parts'>,
  idleSeconds: number,
  work: () => Promise<unknown>,
): Promise<Cost> {
  const idle = () => costOf(system, () => pause(idleSeconds * 500));
  const before = await idle();
  const from = performance.now();
  const cost = await costOf(system, work);
  const seconds = (performance.now() - from) / 1000;
  const both = beyond(before, await idle(), -1);
  return beyond(cost, both, seconds / idleSeconds);
}

/**
 * Repetitions, in each of which every system has its turn: in another order each time, so that nobody always comes
 * after the same. Returns the CPU time of the fixed piece of work before each.
 */
export async function rounds<T>(
  scale: Scale,
  systems: readonly T[],
  turn: (system: T, round: number) => Promise<void>,
): Promise<number[]> {
  const cpuJobMs: number[] = [];
  for (let round = 0; round < scale.repetitions; round++) {
    const job = cpuJob();
    cpuJobMs.push(job.cpuMs);
    say(
      `round ${round + 1} of ${scale.repetitions}; fixed CPU job ${short(job.cpuMs)} ms (${short(job.wallMs)} on the wall)`,
    );
    const from = round % systems.length;
    for (const system of [...systems.slice(from), ...systems.slice(0, from)]) await turn(system, round);
  }
  return cpuJobMs;
}

/** Values of several repetitions, by whatever they are called. */
export class Tally {
  readonly #values = new Map<string, number[]>();

  add(name: string, value: number): void {
    const known = this.#values.get(name);
    if (known) known.push(value);
    else this.#values.set(name, [value]);
  }

  /** Adds a cost, divided and in microseconds, under `name`, and its parts beneath. */
  addMicros(name: string, { ms, parts }: Cost, divisor: number): void {
    this.add(name, (ms * 1000) / divisor);
    for (const [part, value] of Object.entries(parts)) this.add(`${name}/${part}`, (value * 1000) / divisor);
  }

  of(name: string): number[] {
    return this.#values.get(name) ?? [];
  }

  partsOf(name: string): Record<string, number[]> {
    const own = [...this.#values].filter(([key]) => key.startsWith(`${name}/`));
    return Object.fromEntries(own.map(([key, values]) => [key.slice(name.length + 1), values]));
  }
}
