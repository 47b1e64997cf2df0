import { monotonicMs } from './clock.ts';
import type { Activity } from './types.ts';

/** A page that still runs so long after it was said to go has stayed. */
const STAYED_MS = 1000;
const INPUT_EVENTS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'] as const;

interface PageHooks {
  activity(activity: Activity): void;
  /** Possibly after a long time: a frozen page resumed, the network is back, the tab is looked at again. */
  woke(): void;
  /** The page goes away, for good or into the back/forward cache. */
  left(): void;
  /** The page came back out of that cache, or never went: not every link leads away. */
  stayed(): void;
}

/**
 * Watches whether the page is seen and used, until the function that it returns is called. Outside a browser (Node,
 * React Native) there is no page, and nothing is watched.
 */
export function watchPage(idleAfterMs: number | false, hooks: PageHooks): () => void {
  if (typeof document === 'undefined' || typeof window === 'undefined' || !document.addEventListener) return () => {};
  let lastInputAt = monotonicMs();
  let isIdle = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let leaving: ReturnType<typeof setTimeout> | undefined;

  function look(): void {
    clearTimeout(timer);
    const quietMs = monotonicMs() - lastInputAt;
    const idle = document.visibilityState === 'hidden' || (idleAfterMs !== false && quietMs >= idleAfterMs);
    if (idle !== isIdle) {
      isIdle = idle;
      hooks.activity(idle ? 'idle' : 'active');
    }
    if (!idle && idleAfterMs !== false) timer = setTimeout(look, Math.max(idleAfterMs - quietMs, 0) + 50);
  }

  // Called for every pixel a pointer moves, so it does next to nothing.
  function onInput(): void {
    lastInputAt = monotonicMs();
    if (isIdle) look();
  }

  function onVisibility(): void {
    if (document.visibilityState === 'visible') {
      lastInputAt = monotonicMs();
      hooks.woke();
    }
    look();
  }

  const stop = new AbortController();
  const { signal } = stop;
  const on = (target: EventTarget, name: string, listener: (event: Event) => void) =>
    target.addEventListener(name, listener, { signal, passive: true, capture: true });
  for (const name of INPUT_EVENTS) on(window, name, onInput);
  on(document, 'visibilitychange', onVisibility);
  on(document, 'resume', hooks.woke);
  on(window, 'online', hooks.woke);
  on(window, 'pagehide', () => {
    hooks.left();
    leaving = setTimeout(hooks.stayed, STAYED_MS);
  });
  on(window, 'pageshow', () => {
    clearTimeout(leaving);
    hooks.stayed();
  });
  look();
  return () => {
    clearTimeout(timer);
    clearTimeout(leaving);
    stop.abort();
  };
}
