import type { Logger } from '../../log.ts';
import { unknownName } from '../../protocol/near-names.ts';
import { CONNECT_OPTION_NAMES } from '../../protocol/socket.ts';

/** Names are made up by whoever connects: no more of them than an operator wants to read. */
const MOST_TOLD = 50;

/**
 * Tells the log, once for each name, what handshakes say and nobody here understands. They are let in: while a new
 * version is rolled out a newer client may come to an older web. But it may as well be a mistake, which nobody would
 * notice: with `deviceID` every reconnect is a new session.
 */
export function tellStrangeOptions(log: Logger): (options: object) => void {
  const known = new Set(CONNECT_OPTION_NAMES);
  const told = new Set<string>();
  return (options) => {
    for (const name of Object.keys(options)) {
      if (known.has(name) || told.has(name) || told.size >= MOST_TOLD) continue;
      told.add(name);
      log.warn(`A handshake says something that is passed over: ${unknownName(name, CONNECT_OPTION_NAMES)}`);
    }
  };
}
