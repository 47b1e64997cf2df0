import { Allowances } from './allowances.ts';
import { type Finding, type Scene, seconds, surelyHidden } from './checks.ts';
import { mayHide } from './evidence.ts';
import type { Person } from './person.ts';
import type { Said, Watcher } from './watcher.ts';
import { HANDOVER_MS } from './world.ts';

/**
 * What can be judged from all that was told of what people show beside the status: nothing is shown beyond its end and 2 s, and
 * nothing of who appears inactive.
 */
export function judgeDetails(scene: Scene): Finding[] {
  const now = Date.now();
  const byId = new Map(scene.people.map((person) => [person.userId, person]));
  return scene.watchers.flatMap((watcher) =>
    watcher.said(now).flatMap((said) => {
      const person = byId.get(said.userId);
      return person
        ? [...beyondItsEnd(scene, watcher, person, said), ...whileHidden(scene, watcher, person, said)]
        : [];
    }),
  );
}

function beyondItsEnd(scene: Scene, watcher: Watcher, person: Person, said: Said): Finding[] {
  if (said.text === 'idle') return [];
  const over = Math.max(person.sources.overFrom(said.text), said.from);
  // What becomes another of who is hidden is told by no event.
  if (over >= said.to || (watcher.isInsider && mayHideWithin(person, over, said.to))) return [];
  const allowed = new Allowances(scene, watcher.web, person.longestTtlMs + HANDOVER_MS, ['postgres']);
  if (!allowed.isLate(allowed.startOf(over), said.to)) return [];
  const text = `${watcher.label} was shown "${said.text}" of ${said.userId} from ${seconds(scene, said.from)} to ${seconds(scene, said.to)}, which was over at ${seconds(scene, over)}`;
  return [{ kind: 'detail', text }];
}

function whileHidden(scene: Scene, watcher: Watcher, person: Person, said: Said): Finding[] {
  if (watcher.isInsider && said.text !== 'idle') return [];
  const allowed = new Allowances(scene, watcher.web, person.longestTtlMs + HANDOVER_MS);
  return surelyHidden(person, Date.now()).flatMap((stretch): Finding[] => {
    const until = Math.min(said.to, stretch.to);
    if (until <= said.from || !allowed.isLate(allowed.startOf(stretch.from), until)) return [];
    const text = `${watcher.label} was shown "${said.text}" of ${said.userId}, who appeared inactive from ${seconds(scene, stretch.from)}, until ${seconds(scene, until)}`;
    return [{ kind: 'hidden shown', text }];
  });
}

/** Whether somebody may have appeared inactive at some moment of a time (ms). */
export function mayHideWithin(person: Person, from: number, to: number): boolean {
  for (let at = from; at < to; at += 500) if (mayHide(person, at)) return true;
  return mayHide(person, to);
}
