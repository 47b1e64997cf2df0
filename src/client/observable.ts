import type { Observable } from './types.ts';

export interface Source<T> extends Observable<T> {
  set(value: T): void;
}

/** Something that happens, and those who want to hear of it. A listener that throws does not silence the others. */
export function createSignal<T>() {
  const listeners = new Set<{ call: (value: T) => void }>();
  return {
    subscribe(call: (value: T) => void): () => void {
      // An object of its own, so that one function may listen twice.
      const listener = { call };
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    emit(value: T): void {
      for (const listener of [...listeners]) callListener(() => listener.call(value));
    },
    get size(): number {
      return listeners.size;
    },
  };
}

/** A value that others may observe; setting what it is already tells nobody. */
export function createSource<T>(initial: T): Source<T> {
  let value = initial;
  const changed = createSignal<void>();
  return {
    get: () => value,
    subscribe: changed.subscribe,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      changed.emit();
    },
  };
}

/**
 * Calls a listener of the application. What it throws is the application's own fault: reported as uncaught, after our
 * work is done.
 */
export function callListener(call: () => void): void {
  try {
    call();
  } catch (error) {
    setTimeout(() => {
      throw error;
    });
  }
}

/** What calls the function once, a microtask after the first of the calls that come together. */
export function onceSoon(call: () => void): () => void {
  let soon = false;
  return () => {
    if (soon) return;
    soon = true;
    queueMicrotask(() => {
      soon = false;
      call();
    });
  };
}
