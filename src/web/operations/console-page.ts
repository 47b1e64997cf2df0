import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** The page as it was built once, with the rest of the code; see scripts/build-console.ts. */
const FOLDER = fileURLToPath(new URL('../../console/built', import.meta.url));
/** By their paths below the console's own. */
const PATHS = { '': 'index.html', '/console.js': 'admin/console.js', '/console.css': 'admin/console.css' };

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
};

/** Nothing but this page's own files and questions: no inline code and styles, nothing of others, no frame, no form. */
const CONTENT_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

interface PageFile {
  path: string;
  type: string;
  content: Buffer;
  etag: string;
}
export type ConsolePage = readonly PageFile[];

/** Reads the files of the page, which are kept in memory. */
export async function readConsolePage(): Promise<ConsolePage> {
  return await Promise.all(
    Object.entries(PATHS).map(async ([path, name]) => {
      const content = await readFile(join(FOLDER, name));
      const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
      return { path, type: TYPES[extname(name)] ?? '', content, etag };
    }),
  );
}

/** The page and what it consists of. Its addresses are relative, so that it works below a path of a proxy too. */
export function pageRoutes(app: FastifyInstance, page: ConsolePage): void {
  for (const file of page) {
    app.get(file.path, { schema: { hide: true } }, (request, reply) => send(file, request, reply));
  }
  app.get('/', { schema: { hide: true }, prefixTrailingSlash: 'slash' }, async (_request, reply) =>
    reply.redirect('../admin', 308),
  );
}

async function send({ type, content, etag }: PageFile, request: FastifyRequest, reply: FastifyReply) {
  reply
    .header('content-security-policy', CONTENT_POLICY)
    .header('referrer-policy', 'no-referrer')
    // Asked for anew each time, and sent only where another version runs by now.
    .header('cache-control', 'private, no-cache')
    .header('etag', etag);
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  return reply.type(type).send(content);
}
