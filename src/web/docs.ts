import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { describeSockets } from '../protocol/asyncapi.ts';
import { ErrorBody } from '../protocol/http.ts';

type RefusalStatus = 400 | 401 | 403 | 404 | 409 | 410 | 413 | 429 | 503;

/** The refusals of a route, for its documentation. */
export function refusals<S extends RefusalStatus>(...statuses: S[]): Record<S, typeof ErrorBody> {
  return Object.fromEntries(statuses.map((status) => [status, ErrorBody])) as Record<S, typeof ErrorBody>;
}

/** Has to be there before the routes that it describes. */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Rollcall',
        version: '1',
        description:
          'Who is active, and when they were last seen. Live changes come by Socket.IO at the same address, described in [AsyncAPI](/docs/asyncapi.json).',
      },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  const sockets = describeSockets();
  app.get('/docs/asyncapi.json', { schema: { hide: true } }, () => sockets);
  await app.register(swaggerUi, { routePrefix: '/docs', theme: { title: 'Rollcall API' } });
}
