import type { Server as HttpServer } from 'node:http';
import { type DefaultEventsMap, Server } from 'socket.io';
import type { Config } from '../../config/config.ts';
import type { IncomingEvents } from '../../protocol/client-events.ts';
import type { ServerToClientEvents } from '../../protocol/socket.ts';
import { LIMITS } from '../../protocol/vocabulary.ts';
import type { Origins } from '../auth/origins.ts';
import { pingEveryMs } from '../sessions/session-times.ts';
import type { Admission } from './admission.ts';
import type { PresenceServer, PresenceSocket, SocketData } from './types.ts';
import { withoutRooms } from './without-rooms.ts';

const PONG_LIMIT_MS = 20_000;
/** Who connects and then never says who it is. */
const HANDSHAKE_LIMIT_MS = 10_000;

export interface SocketServerDeps {
  config: Config;
  origins: Origins;
  allowRequest: Admission['allowRequest'];
  /** A socket that was let in is gone. */
  left: (socket: PresenceSocket) => void;
}

/** Socket.IO on an HTTP server, as the settings say; it listens where that does. */
export function openServer(
  http: HttpServer,
  { config, origins, allowRequest, left }: SocketServerDeps,
): PresenceServer {
  return new Server<IncomingEvents, ServerToClientEvents, DefaultEventsMap, SocketData>(http, {
    transports: config.socketTransports,
    pingInterval: pingEveryMs(config),
    pingTimeout: PONG_LIMIT_MS,
    connectTimeout: HANDSHAKE_LIMIT_MS,
    maxHttpBufferSize: LIMITS.bytes,
    perMessageDeflate: false,
    httpCompression: false,
    serveClient: false,
    adapter: withoutRooms(left),
    allowRequest,
    ...(origins.any ? { cors: { origin: origins.cors } } : {}),
  });
}
