import type { Visibility } from '../../../src/presence/visibility.ts';
import type { Chance } from './chance.ts';

/** What people allow each other, by a web of their host application's choice; `who` is looked at, `viewer` looks. */
export type CircleDoing = { web: number } & (
  | { circle: 'come' | 'move' | 'leave' | 'go silent'; who: number }
  | { circle: 'allow'; who: number; visibility: Visibility; lastSeenVisibility: Visibility }
  | {
      circle: 'block' | 'unblock' | 'be blocked' | 'be unblocked' | 'befriend' | 'unfriend';
      who: number;
      viewer: number;
    }
  | { circle: 'let in' | 'put out'; viewer: number }
  /** With changes of what they allow and of who blocks them, so long after it was asked for. */
  | { circle: 'erase'; who: number; changes: number[] }
);

/** What befalls the memory of that. */
export type CircleFault =
  /** Redis evicts what says who may see these users. */
  | { circle: 'lose privacy'; whom: number[] }
  | { circle: 'lose members' }
  /** Redis crashes, and comes back as it was so many ms before. */
  | { circle: 'roll back redis'; lasts: number }
  /** PostgreSQL is put back to what it was so many ms before: by an operator, who stops everybody, or with everybody there. */
  | { circle: 'restore postgres'; lasts: number; stops: boolean };

export interface CircleSize {
  subjects: number;
  /** So many of them, the last ones, may be erased. */
  passing: number;
  viewers: number;
}

type At<T> = T & { at: number };

export function circleSteps(
  chance: Chance,
  { subjects, passing, viewers, webs, stormMs }: CircleSize & { webs: number; stormMs: number },
  first: boolean,
): At<CircleDoing | CircleFault>[] {
  const steps: At<CircleDoing | CircleFault>[] = [];
  const web = () => chance.whole(0, webs - 1);
  if (first) {
    for (let who = 0; who < subjects; who++) steps.push({ at: chance.whole(0, 400), circle: 'come', who, web: web() });
  }
  for (let at = first ? 500 : 0; at < stormMs; at += chance.whole(60, 300)) {
    const pair = { who: chance.whole(0, subjects - 1), viewer: chance.whole(0, viewers - 1) };
    steps.push({ at, web: web(), ...doing(chance, pair, subjects - passing, passing) });
  }
  const sometime = () => chance.whole(800, stormMs - 1000);
  for (let count = chance.whole(1, 4); count > 0; count--) {
    const whom = chance.shuffle(Array.from({ length: subjects }, (_, n) => n)).slice(0, chance.whole(1, subjects));
    steps.push({ at: sometime(), circle: 'lose privacy', whom });
  }
  if (chance.happens(0.3)) steps.push({ at: sometime(), circle: 'lose members' });
  const lasts = () => chance.whole(300, 2500);
  if (chance.happens(0.35))
    steps.push({ at: chance.whole(500, stormMs - 2500), circle: 'roll back redis', lasts: lasts() });
  if (chance.happens(0.4)) {
    const stops = chance.happens(0.3);
    steps.push({ at: chance.whole(500, stormMs - 3000), circle: 'restore postgres', lasts: lasts(), stops });
  }
  return steps;
}

type WithoutWeb<T> = T extends unknown ? Omit<T, 'web'> : never;

function doing(
  chance: Chance,
  { who, viewer }: { who: number; viewer: number },
  firstPassing: number,
  passing: number,
): WithoutWeb<CircleDoing> {
  const kind = chance.next();
  const visibility = () => chance.pick(['everyone', 'friends', 'nobody', 'nobody'] as const);
  if (kind < 0.3) return { circle: 'allow', who, visibility: visibility(), lastSeenVisibility: visibility() };
  if (kind < 0.36) return { circle: 'allow', who, visibility: 'everyone', lastSeenVisibility: 'everyone' };
  if (kind < 0.5) return { circle: chance.pick(['block', 'be blocked']), who, viewer };
  if (kind < 0.58) return { circle: chance.pick(['unblock', 'be unblocked']), who, viewer };
  if (kind < 0.66) return { circle: chance.pick(['befriend', 'befriend', 'unfriend']), who, viewer };
  if (kind < 0.78) return { circle: 'come', who };
  if (kind < 0.82) return { circle: chance.pick(['leave', 'go silent', 'move']), who };
  if (kind < 0.93) return { circle: chance.pick(['let in', 'put out']), viewer };
  const changes = Array.from({ length: chance.whole(0, 3) }, () => chance.whole(0, 100));
  return { circle: 'erase', who: firstPassing + (who % passing), changes };
}
