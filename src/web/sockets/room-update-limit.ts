import { RollcallError } from '../../errors.ts';
import type { Connection } from '../sessions/connection.ts';

/** Of what one session says of itself in rooms so many are taken in a second. */
const UPDATES = 10;
/** Clients that say something every tenth of a second are not on the dot. */
const UPDATES_MS = 950;

/** Lets pass what a session has said of itself at that moment, judged by what was taken before. Throws RATE_LIMITED. */
export function requireUpdate(connection: Connection, saidAt: number): void {
  const recent = connection.roomUpdates.filter((at) => saidAt - at < UPDATES_MS);
  connection.roomUpdates = recent;
  const [first] = recent;
  if (first === undefined || recent.length < UPDATES) return;
  const message = `At most ${UPDATES} updates a second.`;
  throw new RollcallError('RATE_LIMITED', { message, retryAfterMs: first + UPDATES_MS - saidAt });
}
