import type { ServerResponse } from 'node:http';
import type { PresenceSocket } from './types.ts';

type Conn = PresenceSocket['conn'];

/**
 * Ends a connection that polls once what was said on it has been fetched, as if it had been lost: its next poll is of a
 * session that is unknown. Engine.IO's own close would say so in a packet, at which clients in other languages than JavaScript
 * stay away for good.
 */
export function losePolling(conn: Conn): void {
  const { transport } = conn;
  const end = () => {
    // A message that came with this one's cause is still to be answered; unanswered, such clients stay away too.
    const { dataRes }: { dataRes?: ServerResponse | null } = transport as object;
    if (dataRes) {
      dataRes.once('close', end);
      return;
    }
    if (transport.writable) transport.send([{ type: 'noop' }]);
    conn.close(true);
  };
  const { writeBuffer }: { writeBuffer?: unknown[] } = conn as object;
  if (writeBuffer?.length === 0) end();
  else conn.once('drain', end);
}
