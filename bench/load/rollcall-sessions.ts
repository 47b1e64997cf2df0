import { setTimeout as pause } from 'node:timers/promises';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { openStores } from '../../src/stores.ts';
import { Presence } from '../../src/usecases/presence.ts';
import type { Connection } from '../../src/web/sessions/connection.ts';
import { Connections } from '../../src/web/sessions/connections.ts';
import { serve } from './rpc.ts';
import { Sessions } from './sessions.ts';

// What a web process of Rollcall does for a session, and nothing else.
const config = readConfig(process.env);
const log = createLogger(config, 'web');
const stores = openStores(config, log);
const presence = new Presence(stores, config.ttlMs, log);
const connections = new Connections(presence, stores, config, log, () => 1);
const request = { kind: 'other', name: '', claims: {}, end: () => {} } as const;

// Nothing can be opened before Redis answers; commands fail at once until then.
while (!(await stores.redis.ping().then(Boolean, () => false))) await pause(20);

serve(
  new Sessions<Connection>({
    open: (userId) => connections.open({ ...request, userId, sessionId: `d${userId.padStart(21, '-').slice(-21)}` }),
    beat: (connection) => connections.beat(connection, null),
    leave: (_userId, connection) => connections.leave(connection),
  }),
);
