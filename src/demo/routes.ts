import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { SignJWT } from 'jose';
import { z } from 'zod';
import { buildDemo } from './build.ts';
import { displayName } from './names.ts';

/** The conversation of the page's chat. */
const LOBBY = 'demo-lobby';
/** The rooms of the page's documents. */
const DOCUMENTS = 'doc:*';
const FULLEST = 3;
/** What the chart shows. */
const TIMELINE_MS = 5 * 60_000;

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** `connect-src` names ws: because not every browser takes `'self'` to cover it. */
const POLICY = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self' ws: wss:",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

// The rule is the protocol's; this room knows the client only, and the server checks it again in every token.
const UserId = z.string().regex(/^[A-Za-z0-9._\-@|+:~]{1,128}$/);
const SignIn = z.object({ userId: UserId });
const Friends = z.object({ userId: UserId, friendId: UserId });
const Said = z.object({ userId: UserId, source: z.enum(['calendar', 'call']), says: z.boolean() });
const Agent = z.object({ comes: z.boolean() });

/** What a calendar and a call server would say. */
const SAYINGS = {
  calendar: { availability: 'busy', text: 'In a meeting', emoji: '📅', expiresInSeconds: 60 },
  call: { availability: 'dnd', text: 'On a call', emoji: '📞', expiresInSeconds: 60 },
};
/** An agent's lease. Nobody renews it, so the agent is gone after that at the latest. */
const LEASE = '/users/reading.agent/leases/demo';
const AGENT = { ttlSeconds: 20, kind: 'agent' };

/**
 * The demo page at `/`, and what a host application's backend would do for it: `POST /demo/token` signs anybody in as
 * whoever they say they are, `POST /demo/friends` makes two people friends, `GET /demo/timeline` tells how many were active in
 * the last minutes, `POST /demo/said` speaks as a calendar or a call server, `POST /demo/agent` as an agent, `GET /demo/rooms` which documents have the most readers. Only for the process that `npm run demo`
 * starts, which has a secret of its own and listens on this machine alone.
 */
export function demoRoutes(secret: string): (app: FastifyInstance) => Promise<void> {
  const key = new TextEncoder().encode(secret);
  return async (app) => {
    await servePage(app, await buildDemo());

    app.post('/demo/token', { schema: { hide: true } }, async (request, reply) => {
      const body = SignIn.safeParse(request.body);
      if (!body.success) return refuseId(reply);
      const { userId } = body.data;
      const token = await new SignJWT({ name: displayName(userId), rooms: [DOCUMENTS] })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(userId)
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(key);
      await asHost(app, key, 'PUT', `/conversations/${LOBBY}/members/${encodeURIComponent(userId)}`);
      return reply.header('cache-control', 'no-store').send({ token });
    });

    /** Passes on what only a host application may ask. */
    function answers(path: string, question: () => string): void {
      app.get(path, { schema: { hide: true } }, async (_request, reply) => {
        const { statusCode, body } = await asHost(app, key, 'GET', question());
        return reply
          .code(statusCode)
          .header('cache-control', 'no-store')
          .type('application/json; charset=utf-8')
          .send(body);
      });
    }
    answers('/demo/timeline', () => {
      const from = new Date(Date.now() - TIMELINE_MS).toISOString();
      return `/analytics/timeline?from=${from}`;
    });
    answers('/demo/rooms', () => `/rooms?limit=${FULLEST}`);

    app.post('/demo/friends', { schema: { hide: true } }, async (request, reply) => {
      const body = Friends.safeParse(request.body);
      if (!body.success) return refuseId(reply);
      const [userId, friendId] = [body.data.userId, body.data.friendId].map(encodeURIComponent);
      const { statusCode, body: said } = await asHost(app, key, 'PUT', `/users/${userId}/friends/${friendId}`);
      if (statusCode === 204) return reply.code(204).send();
      return reply.code(statusCode).type('application/json; charset=utf-8').send(said);
    });

    app.post('/demo/said', { schema: { hide: true } }, async (request, reply) => {
      const body = Said.safeParse(request.body);
      if (!body.success) return refuseId(reply);
      const { userId, source, says } = body.data;
      const path = `/users/${encodeURIComponent(userId)}/detail/${source}`;
      const { statusCode } = await asHost(app, key, says ? 'PUT' : 'DELETE', path, says ? SAYINGS[source] : undefined);
      return reply.code(statusCode < 300 ? 204 : statusCode).send();
    });

    app.post('/demo/agent', { schema: { hide: true } }, async (request, reply) => {
      const comes = Agent.safeParse(request.body).data?.comes ?? false;
      const { statusCode } = await asHost(app, key, comes ? 'PUT' : 'DELETE', LEASE, comes ? AGENT : undefined);
      return reply.code(statusCode < 300 ? 204 : statusCode).send();
    });
  };
}

function refuseId(reply: FastifyReply): FastifyReply {
  const message = 'A user id has 1 to 128 characters out of A-Z a-z 0-9 . _ - @ | + : ~';
  return reply.code(400).send({ statusCode: 400, code: 'INVALID_USER_ID', error: 'Bad Request', message });
}

/** What only a host application may say or ask: who is in a conversation, who is whose friend, how many were active. */
async function asHost(
  app: FastifyInstance,
  key: Uint8Array,
  method: 'GET' | 'PUT' | 'DELETE',
  url: string,
  payload?: object,
) {
  const token = await new SignJWT({ scope: 'presence:write' })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('demo-host')
    .setExpirationTime('1m')
    .sign(key);
  return app.inject({ method, url, headers: { authorization: `Bearer ${token}` }, ...(payload && { payload }) });
}

/** A handful of small files, kept in memory. */
async function servePage(app: FastifyInstance, folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((found) => found.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const address = `/${relative(folder, path).split(sep).join('/')}`;
    const content = await readFile(path);
    const isPage = address === '/index.html';
    const keepsItsName = isPage || address === '/service-worker.js';
    app.get(isPage ? '/' : address, { schema: { hide: true } }, async (_request, reply) =>
      reply
        .type(TYPES[extname(entry.name)] ?? 'application/octet-stream')
        .header('content-security-policy', POLICY)
        // The names of the other files change with their content.
        .header('cache-control', keepsItsName ? 'no-cache' : 'public, max-age=31536000, immutable')
        .send(content),
    );
  }
}
