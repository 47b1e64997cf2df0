import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { RollcallError } from '../../errors.ts';
import { isValidId } from '../../presence/ids.ts';
import {
  extrasOf,
  StatusAnswer,
  StatusesAnswer,
  StatusesRequest,
  StatusQuery,
  UserParams,
} from '../../protocol/http.ts';
import { LIMITS, SetStatusRequest, StatusPayload } from '../../protocol/vocabulary.ts';
import type { Activations } from '../../usecases/activations.ts';
import { expiryMs, type PresenceApi } from '../../usecases/presence-api.ts';
import { actsFor, callerOf, isSelfOrReader, requireReader, viewerOf } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';
import type { Limits } from '../limits/limits.ts';
import { compileValidatorUnless } from '../validation.ts';
import { serializeLongAnswer } from './long-answers.ts';

/** Routes of statuses: of one user or many, and to choose one's own. */
export function statusRoutes(
  app: FastifyInstance,
  presence: PresenceApi,
  activations: Activations,
  limits: Pick<Limits, 'lookByName'>,
): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/users/:id/status',
    {
      schema: {
        operationId: 'getStatus',
        tags: ['status'],
        summary: 'Whether a user is active, and when they were last seen',
        ...access('anyone'),
        params: UserParams,
        querystring: StatusQuery,
        response: { 200: StatusAnswer, ...refusals(400, 401, 403, 404, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const { id } = request.params;
      const extras = extrasOf(request.query);
      requireReader(caller);
      if (extras.has('why') && !isSelfOrReader(caller, id)) throw new RollcallError('FORBIDDEN');
      // Counted before anything is read, and not where nothing would be.
      await limits.lookByName(caller, [id]);
      return await presence.reads.status(viewerOf(caller), id, extras);
    },
  );

  routes.post(
    '/users/status',
    {
      bodyLimit: LIMITS.statusBytes,
      schema: {
        operationId: 'setStatus',
        tags: ['status'],
        summary: 'Appear inactive, or end that',
        ...access('self', 'write'),
        body: SetStatusRequest,
        response: { 200: StatusPayload, ...refusals(400, 401, 403, 413, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const { status, userId: named, expiresInSeconds } = request.body;
      const userId = actsFor(caller, named);
      const claims = caller.service === null ? caller.claims : null;
      return await activations.setStatus(userId, { status, expiresInMs: expiryMs(status, expiresInSeconds) }, claims);
    },
  );

  app.register(async (many) => manyStatuses(many, presence, limits));
}

/** The route for many statuses, in a scope of its own: checking a thousand of them twice would cost more than to read them. */
function manyStatuses(app: FastifyInstance, presence: PresenceApi, limits: Pick<Limits, 'lookByName'>): void {
  app.setValidatorCompiler(compileValidatorUnless(isPlainRequest));
  app.setSerializerCompiler(serializeLongAnswer);
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post(
    '/users/status/query',
    {
      schema: {
        operationId: 'queryStatuses',
        tags: ['status'],
        summary: 'The status of many users at once, in the order asked',
        ...access('anyone'),
        querystring: StatusQuery,
        body: StatusesRequest,
        response: { 200: StatusesAnswer, ...refusals(400, 401, 403, 413, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const { userIds } = request.body;
      const extras = extrasOf(request.query);
      requireReader(caller);
      if (extras.has('why') && !userIds.every((userId) => isSelfOrReader(caller, userId))) {
        throw new RollcallError('FORBIDDEN');
      }
      await limits.lookByName(caller, userIds);
      return { users: await presence.reads.statuses(viewerOf(caller), userIds, extras) };
    },
  );
}

/** Whether a body is nothing but a list of ids that is not too long, as most requests for many statuses are. */
function isPlainRequest(body: unknown): boolean {
  if (typeof body !== 'object' || body === null || !('userIds' in body) || Object.keys(body).length !== 1) return false;
  const { userIds } = body;
  return Array.isArray(userIds) && userIds.length > 0 && userIds.length <= LIMITS.idsInList && userIds.every(isValidId);
}
