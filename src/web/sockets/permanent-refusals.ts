import type { IncomingMessage } from 'node:http';
import type { Logger } from '../../log.ts';
import type { WebMetrics } from '../operations/metrics.ts';
import { PROTOCOL_UNSUPPORTED, TRANSPORT_UNKNOWN } from './admission.ts';

/** The refusals that come again however often the client tries. */
const HOPELESS: Record<number, string> = {
  [TRANSPORT_UNKNOWN]: 'A client asks for a transport that is switched off here (SOCKET_TRANSPORTS)',
  [PROTOCOL_UNSUPPORTED]:
    'A client speaks a Socket.IO of the past (Engine.IO 3), and needs one of version 3 or later in its language',
};
/** After what was logged of a kind, nothing more of it is for so long. */
const QUIET_MS = 60_000;
const LONGEST_NAME = 100;

/** What Engine.IO tells of a request that it refused. */
export interface Unconnected {
  req?: IncomingMessage;
  code: number;
}

/**
 * Hears of what Engine.IO refuses: counts the clients that can never succeed, and tells the log of each kind at once and then once a
 * minute at most, with what the client calls itself, for it is in their programs that something has to change.
 */
export function reportPermanentRefusals(log: Logger, metrics: Pick<WebMetrics, 'refused'>) {
  const told = new Map<number, { at: number; since: number }>();
  return (request: IncomingMessage | undefined, code: number): void => {
    const sentence = HOPELESS[code];
    if (sentence === undefined) return;
    metrics.refused('INVALID_REQUEST');
    const last = told.get(code);
    if (last && performance.now() < last.at + QUIET_MS) {
      last.since++;
      return;
    }
    const client = (request?.headers['user-agent'] ?? '').slice(0, LONGEST_NAME);
    log.warn({ client, refused: (last?.since ?? 0) + 1 }, sentence);
    told.set(code, { at: performance.now(), since: 0 });
  };
}
