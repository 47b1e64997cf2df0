import type { Arrival, Crowd, Users } from '../load/crowd.ts';
import { Helper } from '../load/rpc.ts';
import { type System, stopAll } from './system.ts';

/** A system and the process with its clients. */
export interface Station<S extends System = System> {
  system: S;
  crowd: Helper<Crowd>;
}

export function startCrowd(): Helper<Crowd> {
  return new Helper<Crowd>('bench/load/crowd-process.ts');
}

/** Runs `work` beside these systems, each with a crowd, and ends all of it, whatever happens. */
export async function sideBySide<S extends System, T>(
  starts: (() => Promise<S>)[],
  work: (stations: Station<S>[]) => Promise<T>,
): Promise<T> {
  const stations: Station<S>[] = [];
  try {
    for (const start of starts) stations.push({ system: await start(), crowd: startCrowd() });
    return await work(stations);
  } finally {
    await stopAll(...stations.flatMap(({ system, crowd }) => [crowd, system]));
  }
}

/** How users come to a system: `more` beside its address and secret. */
export function arrival({ urls, secret, readyOn }: System, users: Users, more: Partial<Arrival> = {}): Arrival {
  return { users, url: urls[0], secret, readyOn, ...more };
}
