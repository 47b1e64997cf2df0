import { leaseHolds, merged, possibleEnd, possibleEndOfLease, surelyHeld } from './evidence.ts';
import type { Person } from './person.ts';
import type { LeaseLife, Span } from './spans.ts';
import type { World } from './world.ts';

/** Between the answer to a join and what a web tells of it, around two readings of the clock. */
const SLACK_MS = 300;

/** The stretches in which a person may be in a room for all that is known, in order: one of their devices, or a lease of theirs. */
export function possiblyThere(world: World, person: Person, roomId: string): Span[] {
  const spans: Span[] = [];
  for (const device of person.devices) {
    const visits = device.visits.filter((visit) => visit.roomId === roomId);
    for (const life of visits.length > 0 ? device.lives : []) {
      const to = possibleEnd(world, device, life);
      for (const visit of visits) {
        const both = { from: Math.max(life.from, visit.from), to: Math.min(to, visit.to) };
        if (both.to > both.from) spans.push(both);
      }
    }
  }
  for (const life of person.leases) {
    if (life.rooms?.includes(roomId)) spans.push({ from: life.from, to: endThere(world, person, life, roomId) });
  }
  return merged(spans);
}

/** What certainly held a person in a room at that moment, or null. */
export function surelyThere(world: World, person: Person, roomId: string, moment: number): string | null {
  const device = person.devices.find(
    (one) =>
      surelyHeld(world, one, moment) &&
      one.stays.some(
        (stay) => stay.roomId === roomId && stay.from + SLACK_MS <= moment && stay.to - SLACK_MS >= moment,
      ),
  );
  if (device) return device.deviceId;
  const lease = person.leases.find(
    (life) =>
      life.rooms?.includes(roomId) &&
      life.to + SLACK_MS <= moment &&
      leaseHolds(world, person, life, moment + SLACK_MS),
  );
  return lease?.name ?? null;
}

/** Until when a lease may hold its user in a room: it may be renewed without a word of rooms, or said to be in others. */
function endThere(world: World, person: Person, life: LeaseLife, roomId: string): number {
  let to = possibleEndOfLease(world, person, life);
  const later = person.leases.filter((one) => one.name === life.name && one.to >= life.from && one !== life);
  for (const next of later.sort((a, b) => a.from - b.from)) {
    if (next.from > to) break;
    const isElsewhere = next.rooms !== null && !next.rooms.includes(roomId);
    if (isElsewhere && next.sure && next.from >= life.to) return Math.min(to, next.to);
    if (!isElsewhere) to = Math.max(to, possibleEndOfLease(world, person, next));
  }
  return to;
}
