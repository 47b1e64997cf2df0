import { monotonicMs } from './clock.ts';
import type { Activity } from './types.ts';

/** A page that still runs so long after it was said to go has stayed. */
const STAYED_MS = 1000;
const INPUT_EVENTS = ['pointerdown', 'pointermove', 'keydown', 'wheel'] as const;

interface IdleDetector {
  readonly userState: 'active' | 'idle' | null;
  onchange: () => void;
  start(options: { threshold: number; signal: AbortSignal }): Promise<void>;
}

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
export function watchPage(idleAfterMs: number, hooks: PageHooks): () => void {
  if (!globalThis.window?.document?.addEventListener) return () => {};
  /** What the browser says of the whole device, where the user has allowed that. */
  let detector: IdleDetector | undefined;
  let lastInputAt = monotonicMs();
  let activity: Activity = 'active';
  let timer: ReturnType<typeof setTimeout> | undefined;
  let leaving: ReturnType<typeof setTimeout> | undefined;

  function look(): void {
    clearTimeout(timer);
    const leftMs = lastInputAt + idleAfterMs - monotonicMs();
    activity = detector?.userState ?? (leftMs > 0 ? 'active' : 'idle');
    hooks.activity(activity);
    if (leftMs > 0) timer = setTimeout(look, leftMs + 50);
  }

  // Called for every pixel a pointer moves, so it does next to nothing.
  function onInput(): void {
    lastInputAt = monotonicMs();
    if (activity === 'idle') look();
  }

  /** Asking the user is for the application, on a click. Without their leave nothing is begun, which would keep the page out of the back/forward cache. */
  async function watchDevice(Detector: new () => IdleDetector): Promise<void> {
    try {
      const { state } = await navigator.permissions.query({ name: 'idle-detection' as PermissionName });
      if (state !== 'granted') return;
      detector = new Detector();
      detector.onchange = look;
      await detector.start({ threshold: idleAfterMs, signal });
    } catch {
      // Of less than a minute the browser does not tell.
    }
  }

  const stop = new AbortController();
  const { signal } = stop;
  // On its way to the document, where it is of that.
  const on = (name: string, listener: (event: Event) => void) =>
    window.addEventListener(name, listener, { signal, passive: true, capture: true });
  for (const name of INPUT_EVENTS) on(name, onInput);
  on('visibilitychange', () => {
    // A hidden page says nothing of the person; whoever looks at it again is there.
    if (document.hidden) return;
    onInput();
    hooks.woke();
  });
  on('resume', hooks.woke);
  on('online', hooks.woke);
  on('pagehide', () => {
    hooks.left();
    leaving = setTimeout(hooks.stayed, STAYED_MS);
  });
  on('pageshow', () => {
    clearTimeout(leaving);
    hooks.stayed();
  });
  look();
  const { IdleDetector: Detector } = window as { IdleDetector?: new () => IdleDetector };
  if (Detector) void watchDevice(Detector);
  return () => {
    clearTimeout(timer);
    clearTimeout(leaving);
    stop.abort();
  };
}
