import type { CloseReason, SessionClosed } from '../../protocol/socket.ts';
import { stopReading } from './turns.ts';
import type { PresenceSocket } from './types.ts';

/** A client that does not read its goodbye in this time is cut off without. */
const FLUSH_LIMIT_MS = 2000;

/**
 * Says why, then closes. Socket.IO's own clients stay away after a disconnect of the namespace and come back after a
 * closed transport, which is what `reconnect` promises.
 */
export function closeSocket(socket: PresenceSocket, reason: CloseReason, afterMs?: number): void {
  const reconnect = reason !== 'logout' && reason !== 'replaced';
  const closed: SessionClosed = { reason, reconnect, ...(afterMs === undefined ? {} : { afterMs }) };
  socket.emit('session_closed', closed);
  if (reason === 'rate_limited') stopReading(socket);
  if (!reconnect) socket.disconnect(true);
  else socket.conn.close();
  const cut = setTimeout(() => socket.conn.close(true), FLUSH_LIMIT_MS);
  socket.conn.once('close', () => clearTimeout(cut));
}
