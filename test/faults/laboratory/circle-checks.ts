import type { StatusPayload } from '../../../src/protocol/vocabulary.ts';
import type { Finding } from './checks.ts';
import type { Circle } from './circle.ts';
import type { Closed } from './privacy-record.ts';
import { Disturbances, type Span } from './spans.ts';
import type { Viewer } from './viewer.ts';
import { WITHIN_MS, type World } from './world.ts';

/** What a scheduler of timers and sockets takes on an idle machine. */
const BASE_MS = 150;
/** A replica that is cut off has not heard of what was answered right before. */
const LAGS_MS = 200;

/** Where somebody who certainly might not was shown a user, or heard a conversation, from the whole record. */
export function judgeCircle(circle: Circle, begun: number): Finding[] {
  const found: Finding[] = [];
  const seconds = (at: number) => `${((at - begun) / 1000).toFixed(2)} s`;
  for (const viewer of circle.viewers) {
    for (const { userId } of circle.subjects) found.push(...judgePair(circle, viewer, userId, seconds));
    found.push(...judgeMembership(circle, viewer, seconds));
  }
  return found;
}

function judgePair(circle: Circle, viewer: Viewer, userId: string, seconds: (at: number) => string): Finding[] {
  const found: Finding[] = [];
  const now = Date.now();
  const closed = circle.record.closed(viewer.userId, userId, 'status', now);
  const blind = circle.record.closed(viewer.userId, userId, 'last seen', now);
  /** One finding for all looks into one stretch. */
  const shownIn = new Map<string, string[]>();
  for (const { door, users, from, to } of viewer.looks) {
    const shown = users.find((user) => user.userId === userId);
    const [what, since] = (shown && saysTooMuch(circle.world, shown, { from, to }, { closed, blind })) ?? [];
    if (what === undefined || since === undefined) continue;
    const stretch = `${viewer.userId} was shown ${userId}, which was not for them since ${seconds(since)}`;
    shownIn.set(stretch, [...(shownIn.get(stretch) ?? []), `${what} by ${door}, ${seconds(from)} to ${seconds(to)}`]);
  }
  for (const [stretch, looks] of shownIn) {
    const text = `${stretch}: ${looks.slice(0, 3).join('; ')}${looks.length > 3 ? `; … (${looks.length})` : ''}`;
    found.push({ kind: 'privacy', text });
  }
  for (const shown of viewer.shown(now).filter((one) => one.userId === userId)) {
    for (const stretch of closed) {
      const late = lateIn(circle.world, stretch, shown, viewer.web.name);
      if (late === null) continue;
      const text = `${viewer.label} took ${userId} for active from ${seconds(shown.from)} to ${seconds(late)}, which was not for them since ${seconds(stretch.from)}`;
      found.push({ kind: 'privacy', text });
    }
  }
  return found;
}

/** Since when what a door showed was not for this viewer; null: it was, for all that is certain. */
function saysTooMuch(
  world: World,
  shown: StatusPayload,
  look: Span,
  { closed, blind }: { closed: Closed[]; blind: Closed[] },
): [string, number] | null {
  // Whatever was answered holds for whoever looks afterwards, unless Redis lost it.
  const covers = (stretch: Closed) =>
    stretch.from <= look.from &&
    look.to <= stretch.to &&
    !losses(world, stretch).some((loss) => look.to >= loss.from && !isLate(world, loss, look.from));
  const hidden = closed.find(covers);
  if (hidden && (shown.status === 'active' || shown.lastSeen !== null)) {
    return [`${shown.status}, ${shown.lastSeen}`, hidden.from];
  }
  const unknown = blind.find(covers);
  return unknown && shown.lastSeen !== null ? ['the last seen', unknown.from] : null;
}

/** When Redis lost what had been answered, and by when that is made good once everybody is back. */
function losses({ redis, disturbances, withoutWorker }: World, { from, to }: Closed, web?: string): Span[] {
  const obstacles = [...disturbances.of('redis'), ...disturbances.of('postgres'), ...withoutWorker];
  if (web !== undefined) obstacles.push(...disturbances.of(web));
  return redis.losses
    .filter((loss) => loss.how !== 'emptied' && loss.from - LAGS_MS <= from && loss.to > from && loss.from < to)
    .map((loss) => ({ from: loss.from, to: Disturbances.pushed(loss.to, WITHIN_MS, obstacles) }));
}

/** When somebody at that web need not have been told yet that a stretch has begun. */
function untold(world: World, stretch: Closed, web: string): Span[] {
  const { disturbances, withoutWorker } = world;
  const obstacles = [...disturbances.of('redis'), ...disturbances.of(web), ...withoutWorker];
  const first = { from: stretch.from, to: Disturbances.pushed(stretch.from, WITHIN_MS, obstacles) };
  return [first, ...losses(world, stretch, web)].sort((a, b) => a.from - b.from);
}

/** Whether a moment is beyond a time that was granted, and what the machine took of it. */
function isLate({ machine }: World, granted: Span, at: number): boolean {
  return at - granted.to - machine.taken(granted.from, at) > BASE_MS;
}

/** Until when somebody was shown in a stretch in which they should not have been; null: they were not, or could not know. */
function lateIn(world: World, stretch: Closed, shown: Span, web: string): number | null {
  const until = Math.min(shown.to, stretch.to);
  let from = Math.max(shown.from, stretch.from);
  if (until <= from) return null;
  let granted = { from, to: from };
  for (const span of untold(world, stretch, web)) {
    if (isLate(world, span, from) || span.from > from + BASE_MS) continue;
    if (span.to > from) from = span.to;
    granted = { from: span.from, to: from };
  }
  return isLate(world, granted, until) ? until : null;
}

function judgeMembership(circle: Circle, viewer: Viewer, seconds: (at: number) => string): Finding[] {
  const { world } = circle;
  const found: Finding[] = [];
  for (const stretch of circle.record.outside(viewer.userId, Date.now())) {
    const granted = untold(world, stretch, viewer.web.name);
    const isTooMuch = (from: number, to: number) =>
      from > stretch.from && to < stretch.to && !granted.some((span) => to >= span.from && !isLate(world, span, from));
    const since = `who was no member since ${seconds(stretch.from)}`;
    const heard = viewer.typing.filter((at) => isTooMuch(at, at)).map((at) => `heard typing at ${seconds(at)}`);
    const letIn = viewer.admissions
      .filter(({ from, to, isLetIn }) => isLetIn && isTooMuch(from, to))
      .map(({ to }) => `was let in at ${seconds(to)}`);
    for (const all of [heard, letIn]) {
      const more = all.length > 1 ? ` (and ${all.length - 1} times more)` : '';
      if (all[0]) found.push({ kind: 'membership', text: `${viewer.label} ${all[0]}${more}, ${since}` });
    }
  }
  return found;
}
