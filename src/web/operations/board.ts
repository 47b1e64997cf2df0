import { createBullBoard } from '@bull-board/api';
import { FastifyAdapter } from '@bull-board/fastify';
import type { Queue } from 'bullmq';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RollcallError } from '../../errors.ts';
import { networkOf } from '../../network.ts';
import { kindOf, type QueueKind, type QueueName } from '../../queues/jobs.ts';
import { OPERATOR_CHALLENGE, type OperatorLock } from '../../telemetry/operator.ts';
import { sendError } from '../refusals.ts';
import { BoardQueue } from './board-queue.ts';
import type { BoardWrites } from './board-writes.ts';

export const BOARD_PATH = '/admin/queues';

const DESCRIPTIONS: Record<QueueKind, string> = {
  timeouts: 'One delayed check per active user, due when they would have been silent for too long',
  broadcasts: 'Hands changes to the web processes, which tell their watchers',
  'last-seen': 'Writes changes to PostgreSQL. Failed: rows that it refused',
  notifications: 'Tells friends that somebody became active',
  pushes: 'Sends Web Push, a message for a browser each. Failed: messages that a push service refused or never took',
  webhooks: 'Posts changes to webhooks. Failed: batches that a receiver refused',
  maintenance: 'Repairs, cleans up and counts, each at its own interval',
};

/** Stricter than for the other pages, since jobs are about people: nothing of others, in no frame. */
const CONTENT_POLICY = [
  "default-src 'self'",
  "script-src 'self'",
  "img-src 'self' data:",
  "style-src 'self' 'unsafe-inline'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "object-src 'none'",
].join('; ');

export interface BoardOptions {
  lock: OperatorLock;
  queues: readonly Queue[];
  /** Whether jobs may be retried, removed and added, and queues paused and emptied. */
  writable: boolean;
  /** Notes what of that is done. */
  writes: BoardWrites;
}

/** Bull Board: the queues and their jobs, for the operator. */
export async function boardRoutes(
  app: FastifyInstance,
  { lock, queues, writable, writes }: BoardOptions,
): Promise<void> {
  const serverAdapter = new FastifyAdapter().setBasePath(BOARD_PATH);
  createBullBoard({
    queues: queues.map((queue) => {
      const description = DESCRIPTIONS[kindOf(queue.name as QueueName)];
      return new BoardQueue(queue, { readOnlyMode: !writable, description });
    }),
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'Rollcall',
        hideDocsLink: true,
        miscLinks: [
          { text: 'People', url: '/admin' },
          { text: 'REST API', url: '/docs' },
          { text: 'Socket.IO API', url: '/docs/events' },
          { text: 'Metrics', url: '/metrics' },
        ],
      },
    },
  });
  await app.register(
    async (board) => {
      board.addHook('onRequest', operatorOnly(lock));
      board.addHook('onRequest', sameOriginOnly);
      board.addHook('onRequest', async (_request, reply) => {
        reply.header('content-security-policy', CONTENT_POLICY).header('cache-control', 'no-store');
      });
      board.addHook('onSend', withoutForeignFonts);
      if (writable) writes.noteAllOf(board, queues);
      await board.register(serverAdapter.registerPlugin());
    },
    { prefix: BOARD_PATH },
  );
}

/** A hook that lets the operator pass, by HTTP Basic. */
export function operatorOnly(lock: OperatorLock) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const verdict = await lock.judge(request.headers.authorization, networkOf(request.ip), request.raw.socket);
    if (verdict.kind === 'operator') return;
    if (verdict.kind === 'too many attempts') return sendError(reply, verdict.error);
    reply.header('www-authenticate', OPERATOR_CHALLENGE);
    return sendError(reply, new RollcallError('UNAUTHENTICATED', { message: 'For the operator only.' }));
  };
}

/**
 * Browsers send a password they know along with whatever another site makes them post. They say where it comes from:
 * by `Sec-Fetch-Site`, and those that are asked without TLS by `Origin`. Who says neither is no browser.
 */
export async function sameOriginOnly(request: FastifyRequest, reply: FastifyReply) {
  if (request.method === 'GET' || request.method === 'HEAD') return;
  const { 'sec-fetch-site': site, origin } = request.headers;
  const own =
    site === undefined ? origin === undefined || URL.parse(origin)?.host === request.host : site === 'same-origin';
  if (!own) return sendError(reply, new RollcallError('FORBIDDEN', { message: 'From a page of this server only.' }));
}

/** The page asks a third party for its fonts, which our content policy forbids: it is not asked at all. */
async function withoutForeignFonts(_request: FastifyRequest, reply: FastifyReply, payload: unknown) {
  const isPage = typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html');
  if (!isPage) return payload;
  const page = payload.replace(/<link href="https:[^>]*>/g, '');
  reply.header('content-length', Buffer.byteLength(page));
  return page;
}
