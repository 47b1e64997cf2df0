import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import type { Queue } from 'bullmq';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import type { Config } from '../config.ts';
import type { Logger } from '../log.ts';
import { LIMITS } from '../protocol/vocabulary.ts';
import type { Authenticator } from './auth.ts';
import { boardRoutes } from './board.ts';
import type { Conversations } from './conversations.ts';
import { describeRoutes } from './docs.ts';
import { type HealthProbe, healthRoutes } from './health.ts';
import type { PresenceApi } from './presence-api.ts';
import { refuse, refuseConnection, refuseInOurShape } from './refusals.ts';
import { identify } from './rights.ts';
import { conversationRoutes } from './routes/conversations.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { statusRoutes } from './routes/status.ts';
import { compileValidator } from './validation.ts';

export interface AppDeps {
  config: Pick<Config, 'corsOrigins' | 'adminUser' | 'adminPassword'>;
  log: Logger;
  auth: Authenticator;
  presence: PresenceApi;
  conversations: Pick<Conversations, 'addMember' | 'removeMember'>;
  health: HealthProbe;
  boardQueues: readonly Queue[];
  /** Routes of a certain process, such as the page of the demo. */
  extraRoutes?: ((app: FastifyInstance) => Promise<void> | void) | undefined;
}

/** The app with all its routes; listening is another's affair. */
export async function buildApp(deps: AppDeps): Promise<FastifyInstance> {
  const { config, log, auth, presence, conversations, health, boardQueues, extraRoutes } = deps;
  const loggerInstance: FastifyBaseLogger = log;
  const app: FastifyInstance = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LIMITS.bytes,
    // As long as an address can get: an id above its limit is refused by the rule for ids, not by the router.
    routerOptions: { maxParamLength: 16_384 },
    // Who comes on an open connection while the process drains gets an answer; health tells others to stay away.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => void refuse(error, request, reply),
    clientErrorHandler: refuseConnection,
  });
  app.setValidatorCompiler(compileValidator);
  app.setSerializerCompiler(serializerCompiler);
  refuseInOurShape(app);
  acceptJsonOnly(app);
  await protectBrowsers(app, config.corsOrigins);
  await describeRoutes(app);

  healthRoutes(app, health);
  app.decorateRequest('caller', null);
  await app.register(async (known) => {
    known.addHook('onRequest', identify(auth));
    known.addHook('onRoute', (route) => {
      route.schema = { ...route.schema, security: [{ bearer: [] }] };
    });
    known.addHook('onSend', async (_request, reply) => void reply.header('cache-control', 'no-store'));
    statusRoutes(known, presence);
    sessionRoutes(known, presence);
    conversationRoutes(known, conversations);
  });
  if (config.adminPassword !== null) {
    await boardRoutes(app, { user: config.adminUser, password: config.adminPassword }, boardQueues);
  }
  await extraRoutes?.(app);

  return app;
}

/** An empty body is none, whatever its type says: many clients send a type with everything. */
function acceptJsonOnly(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else parseJson(request, body.toString(), done);
  });
}

async function protectBrowsers(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  await app.register(helmet, {
    // Without upgrading to https: whoever tries the service in a local network has none.
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
    strictTransportSecurity: { includeSubDomains: false },
  });
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['Retry-After'],
    maxAge: 600,
  });
}
