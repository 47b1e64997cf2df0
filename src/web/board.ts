import { createHash, timingSafeEqual } from 'node:crypto';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { Queue } from 'bullmq';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RollcallError } from '../errors.ts';
import { sendError } from './refusals.ts';

export const BOARD_PATH = '/admin/queues';

export interface Operator {
  user: string;
  password: string;
}

/** The queues and their jobs, to look at. */
export async function boardRoutes(app: FastifyInstance, operator: Operator, queues: readonly Queue[]): Promise<void> {
  const serverAdapter = new FastifyAdapter().setBasePath(BOARD_PATH);
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter,
    options: { uiConfig: { boardTitle: 'Rollcall' } },
  });
  await app.register(
    async (board) => {
      board.addHook('onRequest', operatorOnly(operator));
      board.addHook('onRequest', sameSiteOnly);
      board.addHook('onSend', withoutForeignFonts);
      await board.register(serverAdapter.registerPlugin());
    },
    { prefix: BOARD_PATH },
  );
}

/** HTTP Basic. Hashes have one length, so the comparison tells nothing of the password's. */
export function operatorOnly({ user, password }: Operator) {
  const expected = sha256(`${user}:${password}`);
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const given = /^Basic +([A-Za-z0-9+/=]+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (timingSafeEqual(sha256(Buffer.from(given, 'base64')), expected)) return;
    reply.header('www-authenticate', 'Basic realm="Rollcall", charset="UTF-8"');
    return sendError(reply, new RollcallError('UNAUTHENTICATED', { message: 'For the operator only.' }));
  };
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

/** Browsers send a password they know along with whatever another site makes them post. */
async function sameSiteOnly(request: FastifyRequest, reply: FastifyReply) {
  if (request.method === 'GET' || request.method === 'HEAD') return;
  const { 'sec-fetch-site': site, origin, host } = request.headers;
  const ownSite = site === undefined || site === 'same-origin' || site === 'none';
  const ownOrigin = origin === undefined || URL.parse(origin)?.host === host;
  if (!ownSite || !ownOrigin) return sendError(reply, new RollcallError('FORBIDDEN'));
}

/** The page asks a third party for its fonts, which our content policy forbids: it is not asked at all. */
async function withoutForeignFonts(_request: FastifyRequest, reply: FastifyReply, payload: unknown) {
  const isPage = typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html');
  if (!isPage) return payload;
  const page = payload.replace(/<link href="https:[^>]*>/g, '');
  reply.header('content-length', Buffer.byteLength(page));
  return page;
}
