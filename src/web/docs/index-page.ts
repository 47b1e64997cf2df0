import type { FastifyInstance } from 'fastify';

const LINKS = [
  ['docs', 'API', 'every route, with examples (OpenAPI; docs/json for programs)'],
  ['docs/events', 'Socket events', 'everything that is sent over Socket.IO (docs/asyncapi.json for programs)'],
  ['healthz', 'Health', 'whether this process is alive'],
  ['readyz', 'Readiness', 'whether Redis, PostgreSQL and the queues answer, and why not'],
] as const;

/** Served with a password alone, and linked only where they are served. */
const OPERATORS = [
  ['admin', 'Console', 'people, what goes on and what is wrong, with the password of the operator'],
  ['admin/queues', 'Queues', 'Bull Board, with the same password'],
  ['metrics', 'Metrics', 'for Prometheus, with the same password'],
] as const;

/**
 * `GET /`: a page that says what answers here and where to read on. It tells nothing of users and needs no token. Its links
 * are relative, so that they lead to the right place below a path of a proxy too. Another page at `/`, as the demo's, goes
 * before it: call this once all other routes are there.
 */
export function indexPage(app: FastifyInstance, { forOperators }: { forOperators: boolean }): void {
  if (app.hasRoute({ method: 'GET', url: '/' })) return;
  const page = pageOf(forOperators ? [...LINKS, ...OPERATORS] : LINKS);
  app.get('/', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache').send(page),
  );
}

function pageOf(links: readonly (readonly [address: string, name: string, says: string])[]): string {
  const items = links.map(([address, name, says]) => `<li><a href="${address}">${name}</a> <span>${says}</span></li>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Rollcall</title>
<link rel="icon" href="data:,">
<style>
:root { --page: #f4f5f8; --card: #fff; --ink: #171a23; --muted: #596072; --line: #e4e7ee; --accent: #4f46e5 }
@media (prefers-color-scheme: dark) {
  :root { --page: #0d1017; --card: #151a23; --ink: #e9ecf3; --muted: #a2abbd; --line: #262d3a; --accent: #a5a2ff }
}
* { box-sizing: border-box }
body { display: grid; place-items: center; min-height: 100vh; margin: 0; padding: 20px; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { width: min(560px, 100%); padding: 30px; border: 1px solid var(--line); border-radius: 14px; background: var(--card) }
h1 { margin: 0 0 6px; font-size: 26px; letter-spacing: -0.02em }
p { margin: 0 0 18px; color: var(--muted) }
ul { margin: 0; padding: 0; list-style: none }
li { padding: 10px 0; border-top: 1px solid var(--line) }
a { color: var(--accent); font-weight: 600 }
span { display: block; color: var(--muted); font-size: 14px }
</style>
</head>
<body>
<main>
<h1>Rollcall</h1>
<p>A presence service runs here: it knows who is online or offline, when somebody was last seen, and tells those who may know.
Applications talk to it over REST and Socket.IO.</p>
<ul>
${items.join('\n')}
</ul>
</main>
</body>
</html>
`;
}
