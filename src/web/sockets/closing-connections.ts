import type { Server } from 'node:http';

const LOOK_EVERY_MS = 50;
/** For whoever is still being answered, or still sends a request, when nobody is let in any more. */
const PATIENCE_MS = 3000;

/**
 * Lets go of all connections of a server that no longer listens, until stopped. Node closes those that are idle at that
 * moment; one that was being answered then stays open for as long as keep-alive allows, and one that dribbles a request
 * for longer still.
 */
export function letConnectionsGo(http: Server): { stop(): void } {
  const looking = setInterval(() => http.closeIdleConnections(), LOOK_EVERY_MS);
  const cutting = setTimeout(() => http.closeAllConnections(), PATIENCE_MS);
  return {
    stop() {
      clearInterval(looking);
      clearTimeout(cutting);
    },
  };
}
