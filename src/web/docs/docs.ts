import { STATUS_CODES } from 'node:http';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { httpErrorBody, RollcallError } from '../../errors.ts';
import { describeSockets } from '../../protocol/asyncapi.ts';
import { WebhookDelivery } from '../../protocol/changes.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import { ErrorBody } from '../../protocol/http.ts';
import { eventsPage } from './events-page.ts';
import { GUIDE } from './guide.ts';
import { nameSchemas } from './named-schemas.ts';
import { describeWebhook } from './webhook-docs.ts';

/** What each refusal may say over HTTP. */
const CODES = {
  400: ['INVALID_REQUEST', 'INVALID_USER_ID'],
  401: ['UNAUTHENTICATED', 'TOKEN_EXPIRED'],
  403: ['FORBIDDEN'],
  404: ['USER_NOT_FOUND', 'SESSION_NOT_FOUND', 'NOT_FOUND'],
  409: ['TOO_MANY_BLOCKS', 'TOO_MANY_FRIENDS', 'TOO_MANY_SESSIONS', 'TOO_MANY_SOURCES', 'TOO_MANY_ROOMS'],
  410: ['CURSOR_TOO_OLD'],
  413: ['PAYLOAD_TOO_LARGE'],
  429: ['RATE_LIMITED'],
  500: ['INTERNAL_ERROR'],
  503: ['UNAVAILABLE'],
} as const satisfies Record<number, readonly ErrorCode[]>;
type RefusalStatus = keyof typeof CODES;

/** The names of these bodies, for programs. */
const NAMES: Record<RefusalStatus, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Gone',
  413: 'PayloadTooLarge',
  429: 'TooManyRequests',
  500: 'InternalServerError',
  503: 'ServiceUnavailable',
};

const BODIES = new Map(Object.entries(CODES).map(([status, codes]) => [Number(status), bodyOf(Number(status), codes)]));

function bodyOf(status: number, codes: readonly ErrorCode[]): z.ZodType<ErrorBody> {
  const waits = status === 429 || status === 503 ? '; `Retry-After` says in how many seconds to come again' : '';
  return ErrorBody.extend({ statusCode: z.literal(status), code: z.enum(codes) }).meta({
    description: `${codes.map((code) => `\`${code}\``).join(' or ')}${waits}`,
    examples: codes.map((code) => httpErrorBody(new RollcallError(code))),
  });
}

/** The refusals of a route, for its documentation. */
export function refusals<S extends RefusalStatus>(...statuses: S[]): Record<S, z.ZodType<ErrorBody>> {
  const bodies = statuses.map((status) => [status, BODIES.get(status)]);
  return Object.fromEntries(bodies) as Record<S, z.ZodType<ErrorBody>>;
}

const WHO = {
  anyone: (right: string) => `Any user, or a service with \`${right}\`.`,
  self: (right: string) => `The user themselves, or a service with \`${right}\`.`,
  oneself: () => 'The user themselves alone, no service.',
  service: (right: string) => `Services with \`${right}\` alone.`,
};

/** Whom a route is for, as its description says it to programs. */
export interface RouteAccess {
  who: keyof typeof WHO;
  /** What it takes where a service may. */
  right: 'read' | 'write';
}

/**
 * Describes whom a route is for: in words, as the roles of OpenAPI and, under `x-access`, for programs; `more` is what
 * else there is to say of it. It guards nothing: the handler has to, and a test asks every route as those who may not.
 */
export function access(who: RouteAccess['who'], right: RouteAccess['right'] = 'read', more = '') {
  const scope = `presence:${right}`;
  return {
    description: [WHO[who](scope), more].filter((text) => text !== '').join(' '),
    security: [{ bearer: who === 'service' ? [scope] : [] }],
    'x-access': { who, right } satisfies RouteAccess,
  };
}

const TAGS = {
  status: 'Who is active, and choosing to appear inactive',
  sessions: 'The devices of a user',
  leases: 'Presence without a socket, for agents, bots, devices and servers',
  detail: 'What others see beside the status, from the user, a call, a calendar',
  rooms: 'Who is here: on this page, in this document, in this channel',
  profiles: 'Names and pictures; erasing a user',
  friends: 'Who is whose friend, and who is told of whom',
  blocks: 'Who may not see whom at all',
  settings: 'Who may see a user',
  conversations: 'Who may join what; typing itself goes over sockets',
  push: 'Web Push to browsers of users who are away',
  analytics: 'Figures for the host application',
  history: 'The past of a user',
  audit: 'What operators and services did to people',
  changes: 'Everything that happened, in order, for backends',
  health: 'For whoever runs it',
};

/** Sets up the description of the routes. Has to be there before them. */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  const named = Object.entries(NAMES).flatMap(([status, name]) => {
    const body = BODIES.get(Number(status));
    return body ? [[name, body] as const] : [];
  });
  const { transform, finish, jsonOf } = nameSchemas(Object.fromEntries(named));
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Rollcall', version: '1', description: GUIDE, license: { name: 'MIT', identifier: 'MIT' } },
      servers: [{ url: '/', description: 'The one that this document comes from' }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description:
              'A token of the host application. The roles beside it are values of its `scope`; `presence:write` includes `presence:read`.',
          },
        },
      },
      webhooks: describeWebhook(jsonOf(WebhookDelivery, 'output')),
    },
    transform: (document) => nameAnswers(transform(document)),
    transformObject: (document) => finish('openapiObject' in document ? document.openapiObject : {}),
  });
  const sockets = describeSockets();
  app.get('/docs/asyncapi.json', { schema: { hide: true } }, () => sockets);
  eventsPage(app);
  await app.register(swaggerUi, { routePrefix: '/docs', theme: { title: 'Rollcall API' } });
}

/** Every answer needs a description; what a schema does not say of itself, its status says. */
function nameAnswers<Transformed extends { schema: object; url: string }>(transformed: Transformed): Transformed {
  const { response }: { response?: Record<string, { description?: string }> } = transformed.schema;
  for (const [status, answer] of Object.entries(response ?? {})) answer.description ??= STATUS_CODES[status] ?? status;
  return transformed;
}
