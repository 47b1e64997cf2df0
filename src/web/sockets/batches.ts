import type { StatusChange } from '../../protocol/socket.ts';
import type { Viewer } from './types.ts';

const WINDOW_MS = 25;

/** For clients that asked for batches: what changed within a window comes in one frame, the newest state of each user. */
export class Batches {
  readonly #waiting = new Map<Viewer, Map<string, StatusChange>>();
  readonly #stretch: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(stretch: () => number) {
    this.#stretch = stretch;
  }

  add(viewers: Viewer[], change: StatusChange): void {
    for (const viewer of viewers) {
      let changes = this.#waiting.get(viewer);
      if (!changes) {
        changes = new Map();
        this.#waiting.set(viewer, changes);
      }
      // A detail is told only where it changed: what a newer change does not speak of still holds.
      const detail = change.detail ?? changes.get(change.userId)?.detail;
      changes.set(change.userId, detail === undefined ? change : { ...change, detail });
    }
    if (viewers.length > 0) this.#timer ??= setTimeout(() => this.#flush(), WINDOW_MS * this.#stretch());
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#flush();
  }

  #flush(): void {
    this.#timer = undefined;
    for (const [viewer, changes] of this.#waiting) {
      viewer.socket.emit('user_status_changes', { changes: [...changes.values()] });
    }
    this.#waiting.clear();
  }
}
