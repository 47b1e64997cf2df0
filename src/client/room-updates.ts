import type { PresenceError } from './presence-error.ts';
import type { OpenRoom } from './room-view.ts';
import type { Wire } from './wire.ts';

/** The server takes ten a second of a session, whatever the rooms; some room for what the network moves together. */
const LEAST_GAP_MS = 125;
const AGAIN_MS = 1000;

/** Says what was last given as `data` of rooms, as often as the server takes it: what is replaced meanwhile is never sent. */
export function createRoomUpdates({ request, report }: Wire, connection: () => number) {
  const waiting = new Set<OpenRoom>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  function next(): void {
    timer = undefined;
    const mine = connection();
    for (const room of waiting) {
      waiting.delete(room);
      const { roomId, data } = room;
      const text = JSON.stringify(data);
      if (!room.isThere || !data || text === room.said) continue;
      room.said = text;
      timer = setTimeout(next, LEAST_GAP_MS);
      request('update_room', { roomId, data }).catch((error: PresenceError) => {
        if (room.said === text) room.said = undefined;
        if (error.code === 'INVALID_REQUEST') {
          // Named when we come back, it would keep us out.
          if (room.data === data) room.data = undefined;
          report(error);
        }
        // Who is not there any more is told so by itself, and a connection to come says it anew.
        if (mine !== connection() || !/^(UNAV|RATE|TIMEO)/.test(error.code)) return;
        waiting.add(room);
        clearTimeout(timer);
        timer = setTimeout(next, error.retryAfterMs ?? AGAIN_MS);
      });
      return;
    }
  }

  return {
    say(room: OpenRoom): void {
      waiting.add(room);
      if (timer === undefined) next();
    },
    stop(): void {
      clearTimeout(timer);
      timer = undefined;
      waiting.clear();
    },
  };
}
