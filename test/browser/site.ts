import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import react from '@vitejs/plugin-react';
import { build } from 'vite';
import { tokenFor } from '../support/client.ts';

const PAGE = `<!doctype html><meta charset="utf-8"><title>A host application</title><link rel="icon" href="data:,"><div id="root"></div>`;

/**
 * A host application: pages built from one script each, a backend that signs tokens for whoever asks, and two addresses
 * that lead nowhere: `/download` is a file, `/nothing` a 204.
 */
export class Site {
  readonly #server: Server;
  readonly #files: ReadonlyMap<string, string>;

  private constructor(server: Server, files: ReadonlyMap<string, string>) {
    this.#server = server;
    this.#files = files;
  }

  /** The scripts become pages of their own name: `plain.ts` is at `/plain`. */
  static async build(scripts: readonly string[], alias: Record<string, string> = {}): Promise<Site> {
    const folder = await mkdtemp(join(tmpdir(), 'rollcall-test-site-'));
    await build({
      configFile: false,
      logLevel: 'error',
      plugins: [react()],
      resolve: { alias },
      build: {
        outDir: folder,
        minify: false,
        reportCompressedSize: false,
        rolldownOptions: { input: [...scripts], output: { entryFileNames: '[name].js' } },
      },
    });
    const files = new Map<string, string>();
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      files.set(path.slice(folder.length), await readFile(path, 'utf8'));
    }
    await rm(folder, { recursive: true });
    for (const script of scripts) {
      const name = basename(script, extname(script));
      files.set(`/${name}`, `${PAGE}<script type="module" src="/${name}.js"></script>`);
    }
    const server = createServer();
    const site = new Site(server, files);
    server.on('request', (request, response) => {
      const url = new URL(request.url ?? '/', 'http://site');
      if (request.method === 'POST' && url.pathname === '/presence-token') {
        void tokenFor(url.searchParams.get('user') ?? 'reader').then((token) => response.end(token));
        return;
      }
      if (url.pathname === '/download') {
        response.writeHead(200, { 'content-disposition': 'attachment; filename="notes.txt"' }).end('Nothing of note.');
        return;
      }
      if (url.pathname === '/nothing') {
        response.writeHead(204).end();
        return;
      }
      const found = site.#files.get(url.pathname);
      const type = url.pathname.endsWith('.js') ? 'text/javascript' : 'text/html';
      response.writeHead(found === undefined ? 404 : 200, { 'content-type': `${type}; charset=utf-8` }).end(found);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return site;
  }

  /** The address of a page, for a user of the Rollcall server at `server`. */
  page(name: string, parameters: Record<string, string> = {}): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/${name}?${new URLSearchParams(parameters)}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
