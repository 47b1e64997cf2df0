import type { Duplex } from 'node:stream';

/** What is written before the event loop's next turn goes out with one call to the system instead of one for each message. */
export function writeTogether(socket: Duplex): void {
  socket.cork();
  setImmediate(() => socket.uncork());
}
