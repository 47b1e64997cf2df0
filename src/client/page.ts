import type { Activity } from './types.ts';

const INPUT_EVENTS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'] as const;

interface PageHooks {
  activity(activity: Activity): void;
  /** Possibly after a long time: a frozen page resumed, the network is back, the tab is looked at again. */
  woke(): void;
  /** The page goes away, for good or into the back/forward cache. */
  left(): void;
  /** The page came back out of that cache. */
  restored(): void;
}

/** Outside a browser (Node, React Native) there is no page, and nothing is watched. */
export function watchPage(idleAfterMs: number | false, hooks: PageHooks): () => void {
  if (typeof document === 'undefined' || typeof window === 'undefined' || !document.addEventListener) return () => {};
  let lastInputAt = Date.now();
  let isIdle = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function look(): void {
    clearTimeout(timer);
    const quietMs = Date.now() - lastInputAt;
    const idle = document.visibilityState === 'hidden' || (idleAfterMs !== false && quietMs >= idleAfterMs);
    if (idle !== isIdle) {
      isIdle = idle;
      hooks.activity(idle ? 'idle' : 'active');
    }
    if (!idle && idleAfterMs !== false) timer = setTimeout(look, Math.max(idleAfterMs - quietMs, 0) + 50);
  }

  // Called for every pixel a pointer moves, so it does next to nothing.
  function onInput(): void {
    lastInputAt = Date.now();
    if (isIdle) look();
  }

  function onVisibility(): void {
    if (document.visibilityState === 'visible') {
      lastInputAt = Date.now();
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
  on(window, 'pagehide', hooks.left);
  on(window, 'pageshow', (event) => {
    if ((event as PageTransitionEvent).persisted) hooks.restored();
  });
  look();
  return () => {
    clearTimeout(timer);
    stop.abort();
  };
}
