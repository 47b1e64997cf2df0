import type { Device } from './device.ts';
import type { Person } from './person.ts';
import type { End, LeaseLife, Life, Span } from './spans.ts';
import { HANDOVER_MS, TTL_MS, type World } from './world.ts';

/** Late words in buffers are heard about this long after what held them up is over. */
const DRAINED_MS = 300;
/** Between two clocks' readings and around a moment: what a beat takes on its way. */
const SLACK_MS = 100;

/** Up to when something that was never acknowledged may have been heard: a frozen process or store reads it afterwards. */
export function heardBy(world: World, life: Life): number {
  let to = Math.min(life.to, Date.now());
  if (life.sure) return to;
  for (const what of [life.web, 'redis', `redis@${life.web}`]) {
    for (const span of world.disturbances.of(what)) {
      if (span.from <= to + DRAINED_MS && span.to >= life.from)
        to = Math.max(to, Math.min(span.to, Date.now()) + DRAINED_MS);
    }
  }
  return to;
}

/**
 * The stretches in which a person may be active for all that is known, by the rules and without any allowance: from a sign
 * of life until a TTL after it, or until the goodbye, or until the end of a handover.
 */
export function possiblyActive(world: World, person: Person): Span[] {
  const spans: Span[] = person.posts.map((life) => ({ from: life.from, to: heardBy(world, life) + TTL_MS }));
  for (const device of person.devices) {
    for (const life of device.lives) spans.push({ from: life.from, to: possibleEnd(world, device, life) });
  }
  for (const life of person.leases) spans.push({ from: life.from, to: possibleEndOfLease(world, person, life) });
  return merged(spans);
}

/** Until when any of those may be active who have no device here; 0: nobody may. */
export function lastOfTheGone(world: World, people: readonly Person[]): number {
  const gone = people.filter(({ devices }) => !devices.some(({ alive }) => alive));
  return Math.max(0, ...gone.map((person) => possiblyActive(world, person).at(-1)?.to ?? 0));
}

/** A lease is ended by a `DELETE` or a logout that was certain to be heard, else by its TTL. */
export function possibleEndOfLease(world: World, person: Person, life: LeaseLife): number {
  const heard = heardBy(world, life);
  let until = heard + life.ttlMs;
  const ends = [...person.leaseEnds.filter(({ name }) => name === life.name), ...person.choices.filter(isEverywhere)];
  for (const end of ends) {
    if (!end.sure || end.from < heard) continue;
    const around = { from: end.from - SLACK_MS, to: end.to + 2000 };
    if (world.disturbances.touched(['redis'], around) || lossIn(world, around)) continue;
    until = Math.min(until, end.to);
  }
  return until;
}

/** Until when a device may be here by that sign of life. */
export function possibleEnd(world: World, device: Device, life: Life): number {
  const heard = heardBy(world, life);
  let until = heard + device.ttlMs;
  for (const end of device.ends) {
    if (end.to < life.from) continue;
    if (end.kind === 'drain') {
      if (end.from <= until) until = Math.max(until, end.to + HANDOVER_MS);
      continue;
    }
    // A goodbye that nobody could hear ends nothing; the deadline does.
    const around = { from: end.from - SLACK_MS, to: end.to + 2000 };
    const unheard =
      world.disturbances.touched([life.web, 'redis', `redis@${life.web}`], around) || lossIn(world, around);
    if (end.sure && !unheard && end.from >= life.from) until = Math.min(until, Math.max(end.to, heard));
  }
  return until;
}

export function merged(spans: Span[]): Span[] {
  const result: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last && span.from <= last.to) last.to = Math.max(last.to, span.to);
    else result.push({ ...span });
  }
  return result;
}

/** What of `within` is in none of the spans (merged, in order). */
export function uncovered(within: Span, spans: readonly Span[]): Span[] {
  const gaps: Span[] = [];
  let from = within.from;
  for (const span of spans) {
    if (span.to <= from) continue;
    if (span.from >= within.to) break;
    if (span.from > from) gaps.push({ from, to: span.from });
    from = span.to;
  }
  if (from < within.to) gaps.push({ from, to: within.to });
  return gaps;
}

/** Why the person was certainly active at that moment, or null: a beat that was acknowledged and is younger than a TTL. */
export function surelyAlive(world: World, person: Person, moment: number): Life | null {
  if (mayHide(person, moment)) return null;
  for (const device of person.devices) {
    const life = surelyHeld(world, device, moment);
    if (life) return life;
  }
  return person.leases.find((life) => leaseHolds(world, person, life, moment)) ?? null;
}

/** Why the session of a device was certainly there at that moment, or null. */
export function surelyHeld(world: World, device: Device, moment: number): Life | null {
  const life = device.lives.findLast(({ sure, to }) => sure && to <= moment);
  const holds = life && life.from > moment - device.ttlMs + SLACK_MS && !mayHaveEnded(world, device, life, moment);
  return holds ? life : null;
}

/** Whether a lease was certainly there at that moment: no web makes good what Redis has lost of it. */
export function leaseHolds(world: World, person: Person, life: LeaseLife, moment: number): boolean {
  if (!life.sure || life.to > moment || life.from + life.ttlMs - SLACK_MS < moment) return false;
  const since = { from: life.from - SLACK_MS, to: moment };
  if (lossIn(world, since) || world.disturbances.touched(['redis', life.web, `redis@${life.web}`], since)) return false;
  // Put again with a shorter TTL it may be over sooner.
  const isPutAgain = person.leases.some((other) => other !== life && other.name === life.name && other.to >= life.from);
  const ends = [...person.leaseEnds.filter(({ name }) => name === life.name), ...person.choices.filter(isLogout)];
  return !isPutAgain && !ends.some(({ from, to }) => to >= life.from && from <= moment + SLACK_MS);
}

function isEverywhere({ everywhere }: Person['choices'][number]): boolean {
  return everywhere === true;
}

function isLogout({ kind }: Person['choices'][number]): boolean {
  return kind === 'logout';
}

function mayHaveEnded(world: World, device: Device, life: Life, moment: number): boolean {
  const ended = device.ends.some((end) => {
    if (end.from > moment + SLACK_MS || end.to < life.from) return false;
    return end.kind !== 'drain' || moment >= end.from + HANDOVER_MS - SLACK_MS;
  });
  if (ended) return true;
  const { disturbances, machine } = world;
  const since = { from: life.from, to: moment };
  // A web that alone is cut off from Redis is like a dead one: nobody else can tell the difference.
  if (disturbances.touched([`redis@${life.web}`], since)) return true;
  // The hold after an outage is a second; a machine that takes much of that second leaves the webs too little of it.
  const outages = disturbances.of('redis').filter(({ from, to }) => from <= moment && to >= life.from);
  if (outages.some(({ to }) => machine.taken(to, to + 1000) > 300)) return true;
  // Redis forgot who took the connection's place: its old web says goodbye for it, and nobody else knows of the session.
  const isForgotten = world.redis.losses.some(
    ({ how, from, to }) => how !== 'emptied' && from <= moment + SLACK_MS && to >= life.from,
  );
  const movedOn = device.lives.some(({ line, from }) => line !== life.line && from >= life.from && from <= moment);
  if (isForgotten && movedOn) return true;
  // The beat was kept by a web for a Redis that was away, and went with that web.
  return disturbances.touched(['redis'], since) && disturbances.touched([life.web], { ...since, to: moment + 1000 });
}

/** Whether the person may appear inactive at that moment for all that is certain. */
export function mayHide(person: Person, moment: number): boolean {
  return person.choices.some((choice, n) => {
    if (choice.kind === 'show' || choice.from > moment + SLACK_MS) return false;
    if (choice.kind === 'logout') return choice.from > moment - person.longestTtlMs;
    if (choice.sure && choice.lastsMs !== null && choice.to + choice.lastsMs + SLACK_MS < moment - person.longestTtlMs)
      return false;
    const later = person.choices.slice(n + 1);
    return !later.some((one) => one.sure && one.kind === 'show' && one.to <= moment && !person.isLost(one));
  });
}

/** Whether Redis lost something in the span. */
export function lossIn(world: World, span: Span): boolean {
  return world.redis.losses.some((loss) => loss.from <= span.to && loss.to >= span.from);
}

function wasHere({ lives, ends, ttlMs }: Device, end: End): boolean {
  const life = lives.findLast(({ sure, from }) => sure && from <= end.from);
  if (!life || life.from < end.from - ttlMs) return false;
  return !ends.some((other) => other !== end && other.from >= life.from && other.from <= end.from);
}

/** Between what the last sign of life lies, where that is certain: who hid, or was lost with Redis, is left out. */
export function lastSeenOf(world: World, person: Person): Span | null {
  const ends = [...person.devices.flatMap((device) => device.ends), ...person.leaseEnds];
  const lives = [...person.devices.flatMap((device) => device.lives), ...person.posts, ...person.leases];
  const latest = Math.max(...lives.map((life) => heardBy(world, life)), ...ends.map(({ to }) => to));
  // Whoever was gone already is not seen again by signing out.
  const logouts = person.devices.flatMap((device) =>
    device.ends.filter((end) => end.kind !== 'close' && wasHere(device, end)),
  );
  const from = Math.max(...[...lives, ...logouts].filter(({ sure }) => sure).map((one) => one.from));
  if (!Number.isFinite(from) || person.choices.some(({ kind }) => kind === 'hide')) return null;
  const around = { from: from - person.longestTtlMs, to: latest + 2000 };
  if (lossIn(world, around) || world.disturbances.touched(['redis'], around)) return null;
  return { from, to: latest + world.machine.taken(latest, latest + 1000) };
}
