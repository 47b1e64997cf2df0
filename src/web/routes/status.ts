import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { RollcallError } from '../../errors.ts';
import {
  extrasOf,
  type StatusAnswer,
  StatusAnswer as StatusAnswerSchema,
  StatusesAnswer,
  StatusesRequest,
  StatusQuery,
  UserParams,
} from '../../protocol/http.ts';
import { SetStatusRequest, StatusPayload } from '../../protocol/vocabulary.ts';
import { refusals } from '../docs.ts';
import type { PresenceApi } from '../presence-api.ts';
import { actsFor, callerOf, isSelfOrReader, requireReader } from '../rights.ts';

export function statusRoutes(app: FastifyInstance, presence: PresenceApi): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/users/:id/status',
    {
      schema: {
        tags: ['status'],
        summary: 'Whether a user is active, and when they were last seen',
        params: UserParams,
        querystring: StatusQuery,
        response: { 200: StatusAnswerSchema, ...refusals(400, 401, 403, 404, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const { id } = request.params;
      const extras = extrasOf(request.query);
      requireReader(caller);
      if (extras.has('why') && !isSelfOrReader(caller, id)) throw new RollcallError('FORBIDDEN');
      const answer: StatusAnswer = await presence.status(caller, id);
      if (extras.size === 0) return answer;
      const { devices, detail, why } = await presence.look(id);
      // Whoever is told "inactive", for whatever reason, must not read the opposite from the devices.
      if (extras.has('devices')) answer.devices = answer.status === 'active' ? devices : [];
      if (extras.has('detail')) answer.detail = detail;
      if (extras.has('why')) answer.why = why;
      return answer;
    },
  );

  routes.post(
    '/users/status',
    {
      schema: {
        tags: ['status'],
        summary: 'Appear inactive, or end that',
        body: SetStatusRequest,
        response: { 200: StatusPayload, ...refusals(400, 401, 403, 413, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const { status, userId: named, expiresInSeconds } = request.body;
      const userId = actsFor(caller, named);
      const claims = caller.service === null ? caller.claims : null;
      return await presence.setStatus(userId, { status, expiresInMs: expiryMs(status, expiresInSeconds) }, claims);
    },
  );

  routes.post(
    '/users/status/query',
    {
      schema: {
        tags: ['status'],
        summary: 'The status of many users at once, in the order asked',
        body: StatusesRequest,
        response: { 200: StatusesAnswer, ...refusals(400, 401, 403, 413, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      requireReader(caller);
      return { users: await presence.statuses(caller, request.body.userIds) };
    },
  );
}

/** Only appearing inactive ends by itself; a fraction of a millisecond still is a time. */
export function expiryMs(status: SetStatusRequest['status'], seconds: number | undefined): number | null {
  return status === 'active' || seconds === undefined ? null : Math.max(1, Math.round(seconds * 1000));
}
