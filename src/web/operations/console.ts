import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { RollcallError } from '../../errors.ts';
import { HistoryQuery } from '../../protocol/analytics.ts';
import { type LiveAnswer, type PeopleAnswer, PeopleQuery, PersonRoomParams } from '../../protocol/console.ts';
import { SourceParams } from '../../protocol/detail.ts';
import { SessionParams, UserParams } from '../../protocol/http.ts';
import type { OperatorLock } from '../../telemetry/operator.ts';
import type { ConsoleLive } from '../../usecases/console-live.ts';
import type { ConsolePeople } from '../../usecases/console-people.ts';
import { readHistoryCursor } from '../../usecases/cursors.ts';
import type { DetailApi, PresenceApi } from '../../usecases/presence-api.ts';
import type { RoomsApi } from '../../usecases/rooms.ts';
import { operatorOnly, sameOriginOnly } from './board.ts';
import { type ConsolePage, pageRoutes } from './console-page.ts';

const CONSOLE_PATH = '/admin';
/** What the page sends along with each write: no form and no link of another page can. */
const WRITE_HEADER = 'x-rollcall-console';
/** Whoever looks sees what is known; what hangs is asked again. */
const LIVE_RETRY_MS = 1000;

export interface ConsoleOptions {
  lock: OperatorLock;
  /** The operator's name, for the audit. */
  operator: string;
  /** Whether anything may be changed. */
  writable: boolean;
  people: Pick<ConsolePeople, keyof ConsolePeople>;
  live: Pick<ConsoleLive, keyof ConsoleLive>;
  /** What writes are made by. */
  presence: Pick<PresenceApi, 'logOut'> & { details: Pick<DetailApi, 'end'> };
  rooms: Pick<RoomsApi, 'putOut'>;
  page: ConsolePage;
}

/** The console: people and what goes on, for the operator. Its page, and what that asks. */
export async function consoleRoutes(app: FastifyInstance, options: ConsoleOptions): Promise<void> {
  await app.register(
    async (scope) => {
      scope.addHook('onRequest', operatorOnly(options.lock));
      pageRoutes(scope, options.page);
      await scope.register(
        async (api) => {
          api.addHook('onRequest', async (_request, reply) => void reply.header('cache-control', 'no-store'));
          readRoutes(api, options);
          await api.register(async (writes) => writeRoutes(writes, options));
        },
        { prefix: '/api' },
      );
    },
    { prefix: CONSOLE_PATH },
  );
}

function readRoutes(app: FastifyInstance, { operator, writable, people, live }: ConsoleOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get('/live', { schema: { hide: true } }, async (): Promise<LiveAnswer> => {
    const figures = await live.look();
    if (!figures) throw new RollcallError('UNAVAILABLE', { retryAfterMs: LIVE_RETRY_MS });
    return { operator, writable, ...figures };
  });

  routes.get(
    '/people',
    { schema: { hide: true, querystring: PeopleQuery } },
    async ({ query }): Promise<PeopleAnswer> => ({ people: await people.find(query.q, query.limit) }),
  );

  routes.get('/people/:id', { schema: { hide: true, params: UserParams } }, async ({ params }) =>
    people.person(params.id),
  );

  routes.get(
    '/people/:id/past',
    { schema: { hide: true, params: UserParams, querystring: HistoryQuery.pick({ limit: true, cursor: true }) } },
    async ({ params, query }) => {
      const before = query.cursor === undefined ? null : readHistoryCursor(query.cursor);
      return people.past(params.id, before, query.limit);
    },
  );
}

function writeRoutes(app: FastifyInstance, { operator, writable, presence, rooms }: ConsoleOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  app.addHook('onRequest', sameOriginOnly);
  app.addHook('onRequest', async ({ headers }) => {
    if (headers[WRITE_HEADER] === undefined) {
      throw new RollcallError('FORBIDDEN', { message: `From the console alone, which sends ${WRITE_HEADER}.` });
    }
    if (writable) return;
    const message = 'The console only shows. With BOARD_WRITABLE=true it may change something.';
    throw new RollcallError('FORBIDDEN', { message });
  });

  routes.delete(
    '/people/:id/sessions/:sessionId',
    { schema: { hide: true, params: SessionParams } },
    async ({ params }, reply) => {
      await presence.logOut(params.id, params.sessionId, operator);
      return reply.code(204).send();
    },
  );

  routes.delete(
    '/people/:id/sources/:source',
    { schema: { hide: true, params: SourceParams } },
    async ({ params }, reply) => {
      await presence.details.end(params.id, params.source, operator);
      return reply.code(204).send();
    },
  );

  routes.delete(
    '/people/:id/rooms/:roomId',
    { schema: { hide: true, params: PersonRoomParams } },
    async ({ params }, reply) => {
      await rooms.putOut(params.roomId, params.id, operator);
      return reply.code(204).send();
    },
  );
}
