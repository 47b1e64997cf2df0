import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { ask, Refusal } from './ask.ts';

const EVERY_MS = 2000;

export interface Polled<T> {
  value: T | null;
  /** Why it could not be asked last; the value is older then. */
  refusal: Refusal | null;
  /** Asks anew, now. */
  again: () => void;
}

/** An answer that is asked for again and again while the page is seen, and never while it is not. `path` null: nothing is asked. */
export function usePolled<T>(path: string | null, everyMs = EVERY_MS): Polled<T> {
  const [state, setState] = useState<{ path: string | null; value: T | null; refusal: Refusal | null }>({
    path,
    value: null,
    refusal: null,
  });
  const now = useRef<() => void>(() => {});
  useEffect(() => {
    if (path === null) return;
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asking = false;
    const look = async () => {
      clearTimeout(timer);
      if (asking || document.hidden || leaving.signal.aborted) return;
      asking = true;
      try {
        const value = await ask<T>(path, leaving.signal);
        setState({ path, value, refusal: null });
      } catch (error) {
        if (error instanceof Refusal) {
          setState((last) => ({ path, value: last.path === path ? last.value : null, refusal: error }));
        }
      } finally {
        asking = false;
      }
      if (!leaving.signal.aborted) timer = setTimeout(look, everyMs);
    };
    now.current = look;
    void look();
    document.addEventListener('visibilitychange', look);
    return () => {
      leaving.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [path, everyMs]);
  const again = useCallback(() => now.current(), []);
  // What was told of another is not shown, not even for a moment.
  return state.path === path ? { ...state, again } : { value: null, refusal: null, again };
}

/** What a value has been for a while. */
export function useSettled<T>(value: T, afterMs: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), afterMs);
    return () => clearTimeout(timer);
  }, [value, afterMs]);
  return settled;
}

/** The time (ms), each second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** The person whom the address names behind `#`, which no server is told; null: none. */
export function usePersonInAddress(): string | null {
  const hash = useSyncExternalStore(
    (changed) => {
      addEventListener('hashchange', changed);
      return () => removeEventListener('hashchange', changed);
    },
    () => location.hash,
  );
  const id = /^#person=(.+)$/.exec(hash)?.[1];
  return id === undefined ? null : decodeURIComponent(id);
}

/** The address that shows a person. */
export function addressOf(userId: string): string {
  return `#person=${encodeURIComponent(userId)}`;
}
