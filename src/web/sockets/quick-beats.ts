import type { PresenceSocket } from './types.ts';

/** A heartbeat that says nothing more and wants no answer, as Socket.IO writes it: what nearly all messages are. */
const BEAT = '2["heartbeat"]';

/**
 * Hears such heartbeats before Socket.IO takes them apart, which costs more than all that follows from them. Whatever else
 * is said goes its way. `heard` is called for each.
 */
export function hearQuickBeats(socket: PresenceSocket, heard: () => void): void {
  const { conn } = socket;
  const inside = conn.listeners('data');
  conn.removeAllListeners('data');
  conn.on('data', (data: unknown) => {
    if (data === BEAT) heard();
    else for (const listener of inside) listener.call(conn, data);
  });
}
