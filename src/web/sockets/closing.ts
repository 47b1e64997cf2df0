import type { CloseReason, SessionClosed } from '../../protocol/socket.ts';
import { sendGathered } from './frames.ts';
import { losePolling } from './polling.ts';
import type { PresenceSocket } from './types.ts';
import { rawOf } from './websocket-library.ts';

/** A client that does not read its goodbye in this time, or does not end the closing handshake, is cut off without. */
const GOODBYE_LIMIT_MS = 2000;

/**
 * Tells a client why, then closes its socket. Socket.IO's own clients stay away after a disconnect of the namespace and
 * come back after a closed transport, which is what `reconnect` promises.
 */
export function closeSocket(socket: PresenceSocket, reason: CloseReason, afterMs?: number): void {
  const reconnect = reason !== 'logout' && reason !== 'replaced';
  const closed: SessionClosed = { reason, reconnect, ...(afterMs === undefined ? {} : { afterMs }) };
  sendGathered();
  socket.emit('session_closed', closed);
  const { conn } = socket;
  const raw = rawOf(conn);
  // What a client still sends that is being closed for it stays in its own buffers; so does its answer to the closing.
  const unread = reason === 'rate_limited';
  if (unread) raw?.pause();
  if (!reconnect) socket.disconnect(true);
  else if (conn.transport.name === 'polling') losePolling(conn);
  else conn.close();
  const cut = setTimeout(() => {
    conn.close(true);
    if (!unread) raw?.terminate();
  }, GOODBYE_LIMIT_MS);
  // The connection counts as closed once that has begun; the WebSocket below it does when it is.
  (raw ?? conn).once('close', () => clearTimeout(cut));
}
