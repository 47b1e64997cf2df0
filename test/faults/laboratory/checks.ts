import { Allowances, SETTLED_MS } from './allowances.ts';
import { lossIn, mayHide, possiblyActive, surelyAlive, uncovered } from './evidence.ts';
import type { Person } from './person.ts';
import type { Span } from './spans.ts';
import type { Shown, Watcher } from './watcher.ts';
import { HANDOVER_MS, TTL_MS, WITHIN_MS, type World } from './world.ts';

export type Kind =
  | 'ghost'
  | 'false inactive'
  | 'hidden shown'
  | 'privacy'
  | 'membership'
  | 'erased'
  | 'order'
  | 'views differ'
  | 'rooms'
  | 'detail'
  | 'idle'
  | 'history'
  | 'absence'
  | 'last seen'
  | 'jobs'
  | 'keys'
  | 'process'
  | 'client';

export interface Finding {
  kind: Kind;
  text: string;
}

export interface Scene {
  world: World;
  people: Person[];
  watchers: Watcher[];
  /** When the laboratory began, for the reader. */
  begun: number;
}

/** Somebody who saw people here, at some web. */
type Onlooker = Pick<Watcher, 'label' | 'web' | 'shown'>;

/** Two readings of the clock around one event. */
const SLACK_MS = 200;

/** Everything that can be judged from the watchers' whole event logs and the record of what people did. */
export function judgeLogs(scene: Scene): Finding[] {
  return [
    ...scene.watchers.flatMap(({ label, violations }) =>
      violations
        // What was lost for good has older versions again; clients drop them.
        .filter(({ at }) => !lostForGood(scene, at))
        .map(({ text }): Finding => ({ kind: 'order', text: `${label}: ${text}` })),
    ),
    ...ghosts(scene, scene.watchers),
    ...falseActives(scene),
    ...falseInactives(scene),
  ];
}

/** A moment, for the reader. */
export const seconds = (scene: Scene, at: number) => `${((at - scene.begun) / 1000).toFixed(2)} s`;

/** Whether there was a loss of something that was told and is written nowhere: by a failover, or with PostgreSQL or the workers away. */
export function lostForGood({ world }: Scene, at: number): boolean {
  return world.redis.losses.some(({ how, from, to }) => {
    if (from > at || at > to + SETTLED_MS) return false;
    const unwritten = [...world.disturbances.of('postgres'), ...world.withoutWorker];
    return how !== 'emptied' || unwritten.some((one) => one.from <= to && one.to + WITHIN_MS >= from);
  });
}

/** Nobody is shown active beyond TTL + 2 s after the last sign of life, or 2 s after what stood in the way is over. */
export function ghosts(scene: Scene, watchers: readonly Onlooker[]): Finding[] {
  const { world, people } = scene;
  const now = Date.now();
  const found: Finding[] = [];
  for (const person of people) {
    const possible = possiblyActive(world, person);
    const hidden = surelyHidden(person, now);
    for (const watcher of watchers) {
      const allowed = new Allowances(scene, watcher.web, person.longestTtlMs + HANDOVER_MS);
      for (const shown of watcher.shown(now).filter(({ userId }) => userId === person.userId)) {
        for (const gap of uncovered(shown, possible)) {
          if (allowed.isLate(allowed.startOf(gap.from), gap.to)) found.push(ghost(scene, watcher, shown, gap));
        }
        for (const stretch of hidden) {
          const start = allowed.startOf(stretch.from);
          const until = Math.min(shown.to, stretch.to);
          if (until <= shown.from || !allowed.isLate(start, until)) continue;
          const when = `${seconds(scene, stretch.from)} to ${seconds(scene, stretch.to)}`;
          const text = `${watcher.label} saw ${person.userId}, who appeared inactive from ${when}, active until ${seconds(scene, shown.to)}`;
          found.push({ kind: 'hidden shown', text });
        }
      }
    }
  }
  return found;
}

function ghost(scene: Scene, watcher: Onlooker, shown: Shown, gap: Span): Finding {
  const late = ((gap.to - gap.from) / 1000).toFixed(2);
  const text = `${watcher.label} saw ${shown.userId} active from ${seconds(scene, shown.from)} to ${seconds(scene, shown.to)}, ${late} s beyond ${seconds(scene, gap.from)}, where the last sign of life had run out`;
  return { kind: 'ghost', text };
}

/** From the answer to the choice until whatever may have ended it. */
export function surelyHidden(person: Person, now: number): Span[] {
  return person.choices.flatMap((choice, n) => {
    if (choice.kind !== 'hide' || !choice.sure) return [];
    const next = person.choices[n + 1]?.from ?? now;
    const expires = choice.lastsMs === null ? now : choice.from + choice.lastsMs;
    return [{ from: choice.to, to: Math.min(next, expires) }];
  });
}

/** User and version of each change that is of what they show beside the status, and so no transition: services are told the causes. */
function ofDetails(watchers: readonly Watcher[]): Set<string> {
  const taken = watchers.flatMap((watcher) => (watcher.isInsider ? watcher.taken() : []));
  return new Set(
    taken.filter(({ change }) => change.cause === 'detail').map(({ change }) => `${change.userId} ${change.version}`),
  );
}

/** Nobody becomes active without having come, beaten or chosen to. */
function falseActives(scene: Scene): Finding[] {
  const { world, people, watchers } = scene;
  const possible = new Map(people.map((person) => [person.userId, possiblyActive(world, person)]));
  // Who is overdue while nobody may expire is active still, whatever is said of them.
  const seen = ofDetails(watchers);
  const found: Finding[] = [];
  for (const watcher of watchers) {
    for (const { at, change } of watcher.taken()) {
      const spans = possible.get(change.userId);
      const name = `${change.userId} ${change.version}`;
      if (!spans || change.status === 'inactive' || seen.has(name)) continue;
      seen.add(name);
      if (spans.some(({ from, to }) => change.version >= from - SLACK_MS && change.version <= to + SLACK_MS)) continue;
      // What was lost comes back as it was, and goes when its time is up.
      const longestMs = people.find(({ userId }) => userId === change.userId)?.longestTtlMs ?? TTL_MS;
      if (lossIn(world, { from: change.version - WITHIN_MS - longestMs, to: change.version })) continue;
      const text = `${watcher.label} was told at ${seconds(scene, at)} that ${change.userId} is active since ${seconds(scene, change.version)}, without a sign of life`;
      found.push({ kind: 'ghost', text });
    }
  }
  return found;
}

/** Nobody is told inactive whose beats were acknowledged without a gap of a TTL. */
function falseInactives(scene: Scene): Finding[] {
  const { world, people, watchers } = scene;
  const byId = new Map(people.map((person) => [person.userId, person]));
  const seen = new Set<string>();
  const found: Finding[] = [];
  for (const watcher of watchers) {
    for (const { at, change } of watcher.taken()) {
      const person = byId.get(change.userId);
      const name = `${change.userId} ${change.version}`;
      if (!person || change.status === 'active' || seen.has(name)) continue;
      seen.add(name);
      // A version is the moment of the change in Redis's milliseconds.
      const alive = surelyAlive(world, person, change.version);
      if (!alive) continue;
      const text = `${watcher.label} was told at ${seconds(scene, at)} that ${change.userId} is inactive since ${seconds(scene, change.version)}, though a beat of ${seconds(scene, alive.from)} at ${alive.web} was acknowledged`;
      found.push({ kind: 'false inactive', text });
    }
  }
  return found;
}

export interface Recorded {
  userId: string;
  version: number;
  status: 'active' | 'inactive';
  at: number;
  lastSeen: number | null;
}

/**
 * Every inactive transition that was told is in the history. Tolerated is what nobody can write any more: changes that were
 * still in the outbox of a Redis that lost its data.
 */
export function judgeHistory(scene: Scene, rows: Recorded[]): Finding[] {
  const { world, people, watchers } = scene;
  const { redis, disturbances } = world;
  const known = new Map(rows.map((row) => [`${row.userId} ${row.version}`, row.status]));
  const names = new Set(people.map(({ userId }) => userId));
  const found = new Map<string, Finding>();
  const waits = [...disturbances.of('postgres'), ...world.withoutWorker];
  const lost = redis.losses.map((loss) => ({
    from:
      Math.min(
        loss.from,
        ...waits.filter((w) => w.from <= loss.to && w.to + WITHIN_MS >= loss.from).map((w) => w.from),
      ) - WITHIN_MS,
    to: loss.to + 1500,
  }));
  const details = ofDetails(watchers);
  for (const watcher of watchers) {
    for (const { at, change } of watcher.taken()) {
      const name = `${change.userId} ${change.version}`;
      if (details.has(name)) continue;
      if (change.status === 'active' || !names.has(change.userId) || known.get(name) === 'inactive') continue;
      // Of somebody whom nobody has heard of; its version is none of theirs.
      if (change.lastSeen === null) continue;
      if (lost.some(({ from, to }) => change.version >= from && change.version <= to)) continue;
      // What a web reads anew from PostgreSQL after a loss carries the version that is there.
      if (known.has(name) && lossIn(world, { from: change.version, to: at })) continue;
      // Nor is it a transition to be told again, with a version above all that was told, what the history ends with.
      const last = rows.findLast(({ userId, version }) => userId === change.userId && version < change.version);
      if (last?.status === 'inactive' && last.lastSeen === Date.parse(change.lastSeen)) continue;
      const before = last
        ? `${last.status} at ${seconds(scene, last.version)}, seen ${seconds(scene, last.lastSeen ?? 0)}`
        : 'nothing';
      const told = `${change.cause ?? 'no cause'}, seen ${seconds(scene, Date.parse(change.lastSeen))}${change.detail ? ', with a detail' : ''}`;
      const text = `${watcher.label} was told at ${seconds(scene, at)} that ${change.userId} is inactive (version ${seconds(scene, change.version)}; ${told}), which is not in the history (before it ${before})`;
      if (!found.has(name)) found.set(name, { kind: 'history', text });
    }
  }
  return [...found.values(), ...absences(scene, rows)];
}

/** An absence for longer than a TTL is a transition, also where nobody was there to notice before the user came back. */
function absences(scene: Scene, rows: Recorded[]): Finding[] {
  const { world, people } = scene;
  const found: Finding[] = [];
  const members = world.members.map(({ name }) => name);
  for (const person of people) {
    const spans = possiblyActive(world, person);
    for (const [n, span] of spans.entries()) {
      const next = spans[n + 1];
      if (!next || next.from - span.to < 300) continue;
      const around = { from: span.from - person.longestTtlMs, to: next.from + WITHIN_MS };
      const everybody = world.disturbances
        .together(members)
        .some((one) => one.from <= around.to && one.to >= around.from);
      // With a store away, or nobody in contact with it, nothing may expire or nothing is known of a newcomer.
      if (everybody || world.disturbances.touched(['redis', 'postgres'], around) || lossIn(world, around)) continue;
      if (mayHide(person, span.from) || mayHide(person, next.from)) continue;
      const lived = [...person.devices.flatMap(({ lives }) => lives)].some(
        ({ sure, from }) => sure && from >= span.from && from <= span.to,
      );
      if (!lived) continue;
      const told = rows.some(({ userId, status, at }) => {
        return (
          userId === person.userId &&
          status === 'inactive' &&
          at >= span.to - person.longestTtlMs &&
          at <= next.from + WITHIN_MS
        );
      });
      if (told) continue;
      const text = `${person.userId} was away from ${seconds(scene, span.to)} to ${seconds(scene, next.from)}, and the history does not know`;
      found.push({ kind: 'absence', text });
    }
  }
  return found;
}
