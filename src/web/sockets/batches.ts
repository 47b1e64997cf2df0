import type { StatusChange } from '../../protocol/socket.ts';
import { Gathered } from './gathered.ts';
import type { Viewer } from './types.ts';

const WINDOW_MS = 25;

/**
 * Gathers for clients that asked for batches: what changed within a window comes in one frame, the newest state of each
 * user.
 */
export class Batches {
  #waiting: Viewer[] = [];
  readonly #stretch: () => number;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** `stretch`: how many times longer than usual changes gather. */
  constructor(stretch: () => number) {
    this.#stretch = stretch;
  }

  /** Has these viewers told of a change at the end of the window; `json` is the change encoded. */
  add(viewers: Iterable<Viewer>, change: StatusChange, json: string): void {
    if (this.#stopped) return;
    const known = new Map<Gathered | null, Gathered>();
    for (const viewer of viewers) {
      const before = viewer.gathered;
      let gathered = known.get(before);
      if (gathered === undefined) {
        gathered = new Gathered(before, change, json);
        known.set(before, gathered);
      }
      viewer.gathered = gathered;
      if (before === null) this.#waiting.push(viewer);
    }
    if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#flush(), WINDOW_MS * this.#stretch());
  }

  /** Tells what has been gathered, and nothing that comes later: whoever was to hear of it is gone. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#flush();
  }

  #flush(): void {
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const viewer of waiting) {
      viewer.gathered?.frame.sendTo(viewer.socket);
      viewer.gathered = null;
    }
  }
}
