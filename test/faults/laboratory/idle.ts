import type { Device } from './device.ts';
import { heardBy, lossIn, possibleEnd, possibleEndOfLease } from './evidence.ts';
import type { Person } from './person.ts';
import type { Span } from './spans.ts';
import { HANDOVER_MS, TTL_MS, WITHIN_MS, type World } from './world.ts';

/** Whether everything that keeps a person here says that nobody is before it, by what they did; null: nobody knows. */
export function isIdle(world: World, person: Person, now: number): boolean | null {
  const alive = person.devices.filter(({ alive }) => alive);
  if (alive.some(({ state }) => state === 'active')) return false;
  return mayHaveOthers(world, person, now) ? null : alive.length > 0;
}

/** Whether something may be here still beside the devices that are. */
function mayHaveOthers(world: World, person: Person, now: number): boolean {
  const others = person.devices.filter(({ alive }) => !alive);
  const isStill = (to: number) => to + WITHIN_MS + world.machine.taken(to, now) > now;
  return (
    others.some((device) => device.lives.some((life) => isStill(possibleEnd(world, device, life)))) ||
    person.leases.some((life) => isStill(possibleEndOfLease(world, person, life))) ||
    person.posts.some((life) => isStill(heardBy(world, life) + TTL_MS))
  );
}

/**
 * Between what the moment lies since which a person is idle, where they are: not before the last word of a session that had
 * somebody before it, and, where nothing was lost or hidden, not after nobody was before any.
 */
export function idleSinceWithin(world: World, person: Person, now: number): Span {
  const active = person.devices.flatMap(({ words }) => words.filter(({ state }) => state === 'active'));
  const lastActive = Math.max(0, ...active.map(({ from }) => from));
  const alive = person.devices.filter((device) => device.alive);
  const others = person.devices.filter((device) => !device.alive);
  const lastIdle = Math.max(...alive.map(since));
  const lastOfOthers = Math.max(
    0,
    ...others.flatMap((device) => device.lives.map((life) => possibleEnd(world, device, life))),
    ...person.leases.map((life) => possibleEndOfLease(world, person, life)),
    ...person.posts.map((life) => heardBy(world, life) + TTL_MS),
  );
  const to = Math.max(lastIdle, Math.min(lastOfOthers, now)) + HANDOVER_MS + WITHIN_MS;
  // What a web kept for a Redis that was away, or Redis lost, may never have been heard.
  const isUndisturbed = (from: number) => {
    const lines = ['redis', ...world.webs.flatMap(({ name }) => [name, `redis@${name}`])];
    const span = { from: from - WITHIN_MS, to: now };
    return !lossIn(world, span) && !world.disturbances.touched(lines, span);
  };
  const isCertain = Number.isFinite(lastIdle) && isUndisturbed(lastIdle) && person.choices.length === 0;
  return { from: isUndisturbed(lastActive) ? lastActive : 0, to: isCertain ? Math.min(to, now) : now };
}

/** Since when a device says by its connection without a break that nobody is before it, for what was answered; Infinity: it does not. */
function since({ words, openedAt }: Device): number {
  const ofConnection = words.filter(({ from }) => from >= openedAt);
  const last = ofConnection.findLastIndex(({ state }) => state === 'active');
  return ofConnection[last + 1]?.to ?? Number.POSITIVE_INFINITY;
}
