import { callListener, createSignal, onceSoon } from './observable.ts';
import { applyAbsence, applyChange, applySnapshot, awaitAnswer, type Known, type Told } from './presence-state.ts';
import type { Observable, Presence, PresenceChange } from './types.ts';

export type PresenceListener = (changed: readonly Presence[]) => void;

/** Beyond it, users who are inactive and whom nobody watches are forgotten. */
const MOST_KNOWN = 10_000;

/** Keeps what is known of whom, and who here wants to hear of it. Nothing in it knows of a connection. */
export function createPeople() {
  const known = new Map<string, Known>();
  const listeners = new Map<string, Set<PresenceListener>>();
  const changed = createSignal<readonly PresenceChange[]>();
  const listChanged = createSignal<void>();
  let list: readonly Presence[] | undefined;
  // Once for all that arrives in one tick.
  const emitList = onceSoon(listChanged.emit);

  const everyone: Observable<readonly Presence[]> = {
    // Made where somebody reads it, and the same until something changes.
    get: () => (list ??= [...known.values()].map(({ presence }) => presence)),
    subscribe: listChanged.subscribe,
  };

  /** `next` for every user in question; those whose visible state became another are told of, all at once. */
  function update(updates: Iterable<readonly [userId: string, next: Known]>, isEvent: boolean): void {
    const changes: PresenceChange[] = [];
    for (const [userId, next] of updates) {
      const previous = known.get(userId)?.presence;
      known.set(userId, next);
      if (next.presence !== previous) changes.push({ presence: next.presence, previous });
    }
    if (changes.length === 0) return;
    const calls = new Map<PresenceListener, Presence[]>();
    for (const { presence } of changes) {
      for (const listener of listeners.get(presence.userId) ?? []) {
        const list = calls.get(listener);
        if (list) list.push(presence);
        else calls.set(listener, [presence]);
      }
    }
    tellList();
    for (const [listener, list] of calls) callListener(() => listener(list));
    if (isEvent) changed.emit(changes);
  }

  function tellList(): void {
    list = undefined;
    emitList();
  }

  function dropSome(): void {
    let excess = known.size - MOST_KNOWN;
    for (const [userId, { presence }] of known) {
      if (excess <= 0) return;
      if (presence.status === 'active' || listeners.has(userId)) continue;
      known.delete(userId);
      excess -= 1;
    }
  }

  return {
    changed,
    everyone,
    get: (userId: string) => known.get(userId)?.presence,
    /** Whether anybody here watches the user. */
    wants: (userId: string) => listeners.has(userId),
    wanted: () => [...listeners.keys()],
    add(userIds: Iterable<string>, listener: PresenceListener): void {
      for (const userId of userIds) {
        const set = listeners.get(userId) ?? new Set();
        listeners.set(userId, set.add(listener));
      }
    },
    remove(userIds: Iterable<string>, listener: PresenceListener): void {
      for (const userId of userIds) {
        const set = listeners.get(userId);
        set?.delete(listener);
        if (set?.size === 0) listeners.delete(userId);
      }
    },
    dropUnwatched(): void {
      const forgotten = [...known.keys()].filter((userId) => !listeners.has(userId));
      for (const userId of forgotten) known.delete(userId);
      if (forgotten.length > 0) tellList();
    },
    /** The truth about these users; `ofAll`: and whoever is not named is not active. */
    snapshot(users: readonly Told[], ofAll?: boolean): void {
      const named = new Set(users.map(({ userId }) => userId));
      const gone = ofAll ? [...known].filter(([userId]) => !named.has(userId)) : [];
      update(
        [
          ...gone.map(([userId, entry]) => [userId, applyAbsence(entry)] as const),
          ...users.map((told) => [told.userId, applySnapshot(known.get(told.userId), told)] as const),
        ],
        false,
      );
    },
    /** Users whose truth will follow as events. */
    await(userIds: readonly string[]): void {
      for (const userId of userIds) {
        const entry = known.get(userId);
        if (entry) known.set(userId, awaitAnswer(entry));
      }
    },
    events(changes: readonly Told[]): void {
      // One frame may name a user twice.
      const updates = new Map<string, Known>();
      for (const told of changes) {
        const entry = updates.get(told.userId) ?? known.get(told.userId);
        const next = applyChange(entry, told);
        if (next !== entry) updates.set(told.userId, next);
      }
      update(updates, true);
      dropSome();
    },
  };
}
