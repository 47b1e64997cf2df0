import { Chance } from './chance.ts';
import { type CircleDoing, type CircleFault, type CircleSize, circleSteps } from './circle-schedule.ts';

/** How many rooms there are to be in. */
export const ROOMS = 3;

/** What a person does. */
export type Doing = { who: number; device: number } & (
  | { do: 'come' | 'move'; web: number }
  | { do: 'leave' | 'go silent' | 'break' | 'log out' | 'idle' | 'beat' | 'hide' | 'show' }
  | { do: 'hide for'; ms: number }
  | { do: 'log out everywhere'; web: number }
  | { do: 'lease'; web: number; ttlMs: number; rooms: number[] | null; state: 'active' | 'idle' | null }
  | { do: 'end lease'; web: number }
  | { do: 'join room' | 'leave room'; room: number }
  | { do: 'say'; web: number; lastsMs: number | null }
  | { do: 'end source'; web: number }
);

/** What befalls a process, one of its links or a store, and for how long. */
export type Fault = { lasts: number } & (
  | { fault: 'kill' | 'freeze' | 'terminate' | 'move the clock' | 'cut from redis' | 'refuse redis'; member: Target }
  | { fault: 'slow redis'; member: Target; ms: number }
  | { fault: 'pause redis' | 'stop redis' | 'kill redis' | 'empty redis' | 'flush redis' | 'fail over' }
  | { fault: 'stop postgres' | 'starve postgres' }
  | { fault: 'slow postgres'; ms: number }
);

export interface Target {
  kind: 'web' | 'worker';
  n: number;
}

/** Something that happens `at` ms after the beginning of its storm. */
export type Step = { at: number } & (Doing | Fault | CircleDoing | CircleFault);

export interface Schedule {
  seed: number;
  storms: { lasts: number; steps: Step[] }[];
}

export interface ScheduleSize {
  people: number;
  webs: number;
  workers: number;
  storms: number;
  stormMs: number;
  circle: CircleSize;
}

const LEASE_TTLS_MS = [3000, 3500, 5000, 8000] as const;
const MEMBER_FAULTS = [
  'kill',
  'freeze',
  'terminate',
  'move the clock',
  'cut from redis',
  'refuse redis',
  'slow redis',
] as const;
const REDIS_FAULTS = ['pause redis', 'stop redis', 'kill redis', 'empty redis', 'flush redis', 'fail over'] as const;
const POSTGRES_FAULTS = ['stop postgres', 'starve postgres', 'slow postgres'] as const;

/** All that happens in a run follows from its seed. */
export function scheduleOf(seed: number, size: ScheduleSize): Schedule {
  const chance = new Chance(seed);
  // Apart, so that neither moves when the other gets something more to choose from.
  const ofCircle = new Chance(seed ^ 0x5eed);
  const ofLeases = new Chance(seed ^ 0x1ea5e);
  const ofRooms = new Chance(seed ^ 0x400a5);
  const ofLeasesIn = new Chance(seed ^ 0x1ea5e1);
  const ofDetails = new Chance(seed ^ 0xde7a11);
  const ofStates = new Chance(seed ^ 0x1d1e);
  const storms = Array.from({ length: size.storms }, (_, n) => {
    const first = n === 0;
    const steps: Step[] = [...people(chance, size, first), ...faults(chance, size)];
    steps.push(...leases(ofLeases, ofLeasesIn, size), ...rooms(ofRooms, size));
    steps.push(...details(ofDetails, size), ...states(ofStates, size));
    steps.push(...circleSteps(ofCircle, { ...size, ...size.circle }, first));
    return { lasts: size.stormMs, steps: steps.sort((a, b) => a.at - b.at) };
  });
  return { seed, storms };
}

function people(chance: Chance, { people, webs, stormMs }: ScheduleSize, first: boolean): Step[] {
  const steps: Step[] = [];
  const web = () => chance.whole(0, webs - 1);
  if (first) {
    for (let who = 0; who < people; who++) {
      if (chance.happens(0.7)) steps.push({ at: chance.whole(0, 400), who, device: 0, do: 'come', web: web() });
    }
  }
  for (let at = first ? 600 : 0; at < stormMs; at += chance.whole(40, 260)) {
    steps.push({ at, ...doing(chance, { who: chance.whole(0, people - 1), device: chance.whole(0, 1) }, web) });
  }
  return steps;
}

function doing(chance: Chance, who: { who: number; device: number }, web: () => number): Doing {
  const kind = chance.next();
  if (kind < 0.32) return { ...who, do: 'come', web: web() };
  if (kind < 0.44) return { ...who, do: 'leave' };
  if (kind < 0.55) return { ...who, do: 'go silent' };
  if (kind < 0.65) return { ...who, do: 'move', web: web() };
  if (kind < 0.72) return { ...who, do: 'break' };
  if (kind < 0.77) return { ...who, do: chance.pick(['idle', 'beat']) };
  if (kind < 0.81) return { ...who, do: 'log out' };
  if (kind < 0.85) return { ...who, do: 'log out everywhere', web: web() };
  if (kind < 0.89) return { ...who, do: 'hide' };
  if (kind < 0.93) return { ...who, do: 'hide for', ms: chance.whole(500, 2500) };
  return { ...who, do: 'show' };
}

/** Who has no socket to be here by, or beside it. The `device` is the lease's name. `more`: what is said of it beside its TTL. */
function leases(chance: Chance, more: Chance, { people, webs, stormMs }: ScheduleSize): Step[] {
  const steps: Step[] = [];
  for (let at = chance.whole(0, 500); at < stormMs; at += chance.whole(200, 900)) {
    const who = { at, who: chance.whole(0, people - 1), device: chance.whole(0, 1), web: chance.whole(0, webs - 1) };
    if (chance.happens(0.25)) steps.push({ ...who, do: 'end lease' });
    else steps.push({ ...who, do: 'lease', ttlMs: chance.pick(LEASE_TTLS_MS), ...saidOfLease(more) });
  }
  return steps;
}

function saidOfLease(chance: Chance): { rooms: number[] | null; state: 'active' | 'idle' | null } {
  const rooms = Array.from({ length: ROOMS }, (_, room) => room).filter(() => chance.happens(0.4));
  return { rooms: chance.happens(0.6) ? rooms : null, state: chance.pick(['active', 'idle', null]) };
}

/** Sources say something of people, whether or not these are here. The `device` is the source. */
function details(chance: Chance, { people, webs, stormMs }: ScheduleSize): Step[] {
  const steps: Step[] = [];
  for (let at = chance.whole(0, 300); at < stormMs; at += chance.whole(60, 400)) {
    const what = { at, who: chance.whole(0, people - 1), device: chance.whole(0, 3), web: chance.whole(0, webs - 1) };
    if (chance.happens(0.2)) steps.push({ ...what, do: 'end source' });
    else steps.push({ ...what, do: 'say', lastsMs: chance.happens(0.7) ? chance.whole(300, 6000) : null });
  }
  return steps;
}

/** Devices have nobody before them, and somebody again. */
function states(chance: Chance, { people, stormMs }: ScheduleSize): Step[] {
  const steps: Step[] = [];
  for (let at = chance.whole(0, 300); at < stormMs; at += chance.whole(60, 300)) {
    const who = { at, who: chance.whole(0, people - 1), device: chance.whole(0, 1) };
    steps.push({ ...who, do: chance.happens(0.6) ? 'idle' : 'beat' });
  }
  return steps;
}

/** Devices come to rooms and leave them, connected or not: then they are there once they are. */
function rooms(chance: Chance, { people, stormMs }: ScheduleSize): Step[] {
  const steps: Step[] = [];
  for (let at = chance.whole(0, 300); at < stormMs; at += chance.whole(60, 400)) {
    const who = { at, who: chance.whole(0, people - 1), device: chance.whole(0, 1), room: chance.whole(0, ROOMS - 1) };
    steps.push({ ...who, do: chance.happens(0.65) ? 'join room' : 'leave room' });
  }
  return steps;
}

function faults(chance: Chance, { webs, workers, stormMs }: ScheduleSize): Step[] {
  const steps: Step[] = [];
  const at = () => chance.whole(500, stormMs - 1500);
  const lasts = () => (chance.happens(0.3) ? chance.whole(2500, 4500) : chance.whole(200, 2000));
  for (let count = chance.whole(1, 3); count > 0; count--) {
    const kind = chance.pick(['web', 'worker'] as const);
    const member = { kind, n: chance.whole(0, (kind === 'web' ? webs : workers) - 1) };
    const fault = chance.pick(MEMBER_FAULTS);
    if (fault === 'slow redis') steps.push({ at: at(), lasts: lasts(), fault, member, ms: chance.whole(20, 200) });
    else steps.push({ at: at(), lasts: lasts(), fault, member });
  }
  if (chance.happens(0.7)) steps.push({ at: at(), lasts: lasts(), fault: chance.pick(REDIS_FAULTS) });
  if (chance.happens(0.5)) {
    const fault = chance.pick(POSTGRES_FAULTS);
    if (fault === 'slow postgres') steps.push({ at: at(), lasts: lasts(), fault, ms: chance.whole(50, 400) });
    else steps.push({ at: at(), lasts: lasts(), fault });
  }
  return steps;
}

/** A schedule in words, a line a step. */
export function inWords({ seed, storms }: Schedule): string {
  const lines = storms.flatMap(({ steps }, n) => [
    `storm ${n + 1}:`,
    ...steps.map(({ at, ...step }) => `  ${String(at).padStart(5)} ms  ${JSON.stringify(step)}`),
  ]);
  return [`seed ${seed}`, ...lines].join('\n');
}
