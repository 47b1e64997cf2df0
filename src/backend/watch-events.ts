import { backOff, type Http, wait } from './http.ts';
import { RollcallError } from './rollcall-error.ts';
import type { Detail, UserStatus } from './types.ts';

export interface WatchOptions {
  /** Ends the loop. */
  signal?: AbortSignal | undefined;
  /** Told of each failure that is waited out. */
  onRetry?: ((error: RollcallError) => void) | undefined;
}

export interface WatchedUser extends UserStatus {
  /** Grows with every change of a user. */
  version: number;
  detail?: Detail | undefined;
}

/** Everybody who is watched, as they are now: it replaces all from before. */
export interface WatchSnapshot {
  snapshot: WatchedUser[];
}

/** One user, as they are now. */
export interface WatchedChange extends WatchedUser {
  snapshot?: undefined;
}

const FIRST_WAIT_MS = 1000;
/** Something comes every fifteen seconds, if only to say that there is nothing. */
const SILENT_MS = 45_000;

/** Who is watched and what becomes of them, for as long as the loop goes on. See `Rollcall.watchEvents`. */
export async function* watchEvents(
  http: Http,
  userIds: readonly string[],
  { signal, onRetry }: WatchOptions,
): AsyncGenerator<WatchSnapshot | WatchedChange, void, void> {
  let lastEventId = '';
  let failed = 0;
  while (!signal?.aborted) {
    let afterMs: number | undefined;
    try {
      const headers = lastEventId === '' ? {} : { 'last-event-id': lastEventId };
      const stream = http.stream('/events', { watch: userIds.join() }, headers, SILENT_MS, signal);
      for await (const { event, id, data } of eventsIn(stream)) {
        failed = 0;
        if (event === 'snapshot') yield { snapshot: JSON.parse(data).users };
        else if (event === 'user_status_change') yield JSON.parse(data);
        else if (event === 'session_closed') afterMs = JSON.parse(data).afterMs;
        // Once it was dealt with.
        if (id !== undefined) lastEventId = id;
        if (signal?.aborted) return;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof RollcallError) || !error.mayPass) throw error;
      onRetry?.(error);
      afterMs = error.retryAfterMs;
    }
    await wait(afterMs ?? backOff(FIRST_WAIT_MS, failed++), signal).catch(() => {});
  }
}

interface StreamEvent {
  event: string | undefined;
  id: string | undefined;
  data: string;
}

async function* eventsIn(stream: AsyncIterable<string>): AsyncGenerator<StreamEvent, void, void> {
  let unread = '';
  for await (const text of stream) {
    const blocks = (unread + text).split('\n\n');
    unread = blocks.pop() ?? '';
    for (const block of blocks) {
      const lines = block.split('\n');
      const field = (name: string) =>
        lines
          .find((line) => line.startsWith(`${name}:`))
          ?.slice(name.length + 1)
          .trim();
      const data = field('data');
      yield { event: data === undefined ? undefined : field('event'), id: field('id'), data: data ?? '' };
    }
  }
}
