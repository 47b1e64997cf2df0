import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import cors from '@fastify/cors';
import type { Queue } from 'bullmq';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import helmet from 'helmet';
import type { Config } from '../config/config.ts';
import type { Logger } from '../log.ts';
import { LIMITS } from '../protocol/vocabulary.ts';
import { OperatorLock } from '../telemetry/operator.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { Activations } from '../usecases/activations.ts';
import type { AnalyticsApi } from '../usecases/analytics.ts';
import type { AuditApi } from '../usecases/audit.ts';
import type { ChangesApi } from '../usecases/change-feed.ts';
import type { ConsoleLive } from '../usecases/console-live.ts';
import type { ConsolePeople } from '../usecases/console-people.ts';
import type { Conversations } from '../usecases/conversations.ts';
import type { ExportApi } from '../usecases/export.ts';
import type { LeasesApi } from '../usecases/leases.ts';
import type { PresenceApi } from '../usecases/presence-api.ts';
import type { Profiles } from '../usecases/profiles.ts';
import type { PushApi } from '../usecases/push.ts';
import type { RoomsApi } from '../usecases/rooms.ts';
import type { Social } from '../usecases/social.ts';
import type { Origins } from './auth/origins.ts';
import type { Tokens } from './auth/tokens.ts';
import { describeRoutes, refusals } from './docs/docs.ts';
import { indexPage } from './docs/index-page.ts';
import { clientAddress } from './limits/client-address.ts';
import type { Limits } from './limits/limits.ts';
import { hangUpOnUnread, limitAddresses, limitCallers } from './limits/request-limits.ts';
import { boardRoutes } from './operations/board.ts';
import { BoardWrites } from './operations/board-writes.ts';
import { consoleRoutes } from './operations/console.ts';
import { readConsolePage } from './operations/console-page.ts';
import { type HealthProbe, healthRoutes } from './operations/health.ts';
import { metricsRoutes, type Scrape } from './operations/metrics.ts';
import { refuse, refuseConnection, refuseInOurShape } from './refusals.ts';
import { analyticsRoutes } from './routes/analytics.ts';
import { auditRoutes } from './routes/audit.ts';
import { blockRoutes } from './routes/blocks.ts';
import { changeRoutes } from './routes/changes.ts';
import { conversationRoutes } from './routes/conversations.ts';
import { detailRoutes } from './routes/detail.ts';
import { type EventsApi, eventRoutes } from './routes/events.ts';
import { friendRoutes } from './routes/friends.ts';
import { historyRoutes } from './routes/history.ts';
import { leaseRoutes } from './routes/leases.ts';
import { profileRoutes } from './routes/profiles.ts';
import { pushRoutes } from './routes/push.ts';
import { reachRoutes } from './routes/reach.ts';
import { roomRoutes } from './routes/rooms.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { settingsRoutes } from './routes/settings.ts';
import { statusRoutes } from './routes/status.ts';
import { asksForSocket } from './sockets/admission.ts';
import { compileValidator, refuseUnnamedBodies } from './validation.ts';

const HEADERS_LIMIT_MS = 10_000;
const REQUEST_LIMIT_MS = 30_000;
/** Often, so that those who came together and are too slow together are not all cut off at once. */
const CHECK_EVERY_MS = 200;

export interface AppDeps {
  config: Pick<Config, 'adminUser' | 'adminPassword' | 'boardWritable' | 'trustProxy' | 'roomsOpen'>;
  log: Logger;
  tokens: Tokens;
  limits: Limits;
  origins: Origins;
  presence: PresenceApi;
  leases: LeasesApi;
  conversations: Pick<Conversations, 'addMember' | 'removeMember'>;
  rooms: RoomsApi;
  social: Pick<Social, keyof Social>;
  profiles: Pick<Profiles, keyof Profiles>;
  exports: ExportApi;
  push: PushApi;
  analytics: AnalyticsApi;
  audit: AuditApi;
  changes: ChangesApi;
  events: EventsApi;
  health: HealthProbe;
  boardQueues: readonly Queue[];
  /** What operators are shown in the console. */
  console: { people: Pick<ConsolePeople, keyof ConsolePeople>; live: Pick<ConsoleLive, keyof ConsoleLive> };
  scrape: Scrape;
  tracing?: Tracing | undefined;
  /** Routes of a certain process, such as the page of the demo. */
  extraRoutes?: ((app: FastifyInstance) => Promise<void> | void) | undefined;
}

/** Builds the app with all its routes; listening is another's affair. */
export async function buildApp(deps: AppDeps): Promise<FastifyInstance> {
  const {
    config,
    log,
    tokens,
    limits,
    origins,
    presence,
    leases,
    conversations,
    rooms,
    social,
    profiles,
    push,
    analytics,
    audit,
    exports,
    changes,
    events,
    health,
    boardQueues,
    scrape,
    tracing,
    extraRoutes,
  } = deps;
  const loggerInstance: FastifyBaseLogger = log;
  const app: FastifyInstance = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LIMITS.bytes,
    // Whoever dribbles a request is cut off; a client on a bad line needs a few seconds for these few bytes.
    requestTimeout: REQUEST_LIMIT_MS,
    http: {
      headersTimeout: HEADERS_LIMIT_MS,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      shouldUpgradeCallback: asksForSocket,
    },
    trustProxy: believedHops(config.trustProxy),
    // As long as an address can get: an id above its limit is refused by the rule for ids, not by the router.
    routerOptions: { maxParamLength: 16_384 },
    // Who comes on an open connection while the process drains gets an answer; health tells others to stay away.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => void refuse(error, request, reply),
    clientErrorHandler: refuseConnection,
  });
  // Before all others: what they add is seen by it.
  await tracing?.instrument(app);
  app.setValidatorCompiler(compileValidator);
  app.setSerializerCompiler(serializerCompiler);
  refuseInOurShape(app);
  acceptJsonOnly(app);
  await protectBrowsers(app, origins);
  const addressOf = clientAddress(config.trustProxy);
  hangUpOnUnread(app);
  limitAddresses(app, limits, addressOf);
  await describeRoutes(app);

  healthRoutes(app, health);
  app.decorateRequest('caller', null);
  app.decorateRequest('unannouncedBytes', 0);
  await app.register(async (known) => {
    limitCallers(known, tokens, limits, addressOf);
    refuseUnnamedBodies(known);
    known.addHook('onRoute', (route) => {
      const answers = { ...refusals(429, 500), ...Object(route.schema?.response) };
      route.schema = { ...route.schema, response: answers };
    });
    known.addHook('onSend', async (_request, reply) => void reply.header('cache-control', 'no-store'));
    statusRoutes(known, presence, new Activations(presence), limits);
    sessionRoutes(known, presence);
    leaseRoutes(known, leases, config.roomsOpen);
    detailRoutes(known, presence.details);
    reachRoutes(known, presence.decisions);
    conversationRoutes(known, conversations);
    roomRoutes(known, rooms, config.roomsOpen);
    profileRoutes(known, profiles, exports);
    friendRoutes(known, social);
    blockRoutes(known, social);
    settingsRoutes(known, social);
    pushRoutes(known, push);
    analyticsRoutes(known, analytics);
    historyRoutes(known, analytics);
    changeRoutes(known, changes);
    eventRoutes(known, events, limits, addressOf);
    auditRoutes(known, audit);
  });
  if (config.adminPassword !== null) {
    const operator = { user: config.adminUser, password: config.adminPassword };
    const lock = new OperatorLock(operator, limits.shared);
    const writes = new BoardWrites(config.adminUser, audit);
    await boardRoutes(app, { lock, queues: boardQueues, writable: config.boardWritable, writes });
    metricsRoutes(app, lock, scrape);
    const { people, live } = deps.console;
    const { adminUser: name, boardWritable: writable } = config;
    const page = await readConsolePage();
    await consoleRoutes(app, { lock, operator: name, writable, people, live, presence, rooms, page });
  }
  await extraRoutes?.(app);
  indexPage(app, { forOperators: config.adminPassword !== null });

  return app;
}

/** For what Fastify itself says of a request; limits ask clientAddress. A mere number it would not believe at all. */
function believedHops(trustProxy: Config['trustProxy']): boolean | ((address: string, hop: number) => boolean) {
  if (trustProxy === true) return true;
  return trustProxy === 0 ? false : (_address, hop) => hop < trustProxy;
}

/** An empty body is none, whatever its type says: many clients send a type with everything. */
function acceptJsonOnly(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (request.headers['content-length'] === undefined) request.unannouncedBytes = Buffer.byteLength(body);
    if (body.length === 0) done(null, undefined);
    else parseJson(request, body.toString(), done);
  });
}

async function protectBrowsers(app: FastifyInstance, origins: Origins): Promise<void> {
  const headers = headersForBrowsers();
  app.addHook('onRequest', async (_request, reply) => void reply.headers(headers));
  // What a browser will not show to a page is answered all the same.
  app.addHook('onRequest', async ({ raw }) => void origins.mayAsk(raw));
  if (!origins.any) return;
  await app.register(cors, {
    origin: origins.cors,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['Retry-After'],
    maxAge: 600,
  });
}

/** What Helmet says with every answer. Asked once, for it is the same each time, and to put it together takes as long as a short answer does. */
function headersForBrowsers() {
  const answer = new ServerResponse(new IncomingMessage(new Socket()));
  const protect = helmet({
    // Without upgrading to https: whoever tries the service in a local network has none.
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
    strictTransportSecurity: { includeSubDomains: false },
  });
  protect(answer.req, answer, (error) => {
    if (error) throw error;
  });
  return answer.getHeaders();
}
