import type { FastifyInstance } from 'fastify';
import { ERRORS } from '../../protocol/errors.ts';
import { type EventReference, type Field, socketReference } from '../../protocol/reference.ts';

/** `GET /docs/events`: the events of the sockets for people to read, from the same schemas as the AsyncAPI document. Open, as all of `/docs`. */
export function eventsPage(app: FastifyInstance): void {
  const page = pageOf();
  app.get('/docs/events', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache').send(page),
  );
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const plain = (said: string) => said.replaceAll(/[&<>"]/g, (character) => ESCAPES[character] ?? '');
const code = (said: string) => `<code>${plain(said)}</code>`;

/** What stands in back quotes is code, and a link of Markdown is one: from below a proxy's path, too, it leads to the right place. */
function prose(said: string): string {
  return plain(said)
    .replaceAll(/`([^`]+)`/g, '<code>$1</code>')
    .replaceAll(/\[([^\]]+)\]\(\/([^)]+)\)/g, '<a href="../$2">$1</a>');
}

function fieldsTable(caption: string, fields: Field[]): string {
  if (fields.length === 0) return '';
  const rows = fields.map(
    ({ name, optional, type, says }) =>
      `<tr><th scope="row">${code(`${name}${optional ? '?' : ''}`)}</th><td>${code(type)}</td><td>${prose(says)}</td></tr>`,
  );
  return `<table><caption>${caption}</caption><tbody>${rows.join('')}</tbody></table>`;
}

function eventSection({ name, says, fields, mayBeEmpty, answer, example }: EventReference): string {
  return `<section id="${name}"><h3><a href="#${name}">${plain(name)}</a></h3><p>${prose(says)}</p>
${fieldsTable(mayBeEmpty ? 'Payload, or nothing' : 'Payload', fields)}
${fieldsTable('Acknowledged with, beside <code>ok: true</code>', answer ?? [])}
<pre><code>${plain(example)}</code></pre></section>`;
}

function pageOf(): string {
  const { title, says, handshake, fromClient, fromServer } = socketReference();
  const links = (events: EventReference[]) =>
    events.map(({ name }) => `<a href="#${name}">${plain(name)}</a>`).join(' · ');
  const codes = Object.entries(ERRORS).map(
    ([name, { statusCode, reconnect, message }]) =>
      `<tr><th scope="row">${code(name)}</th><td>${statusCode}</td><td>${reconnect ?? '–'}</td><td>${prose(message)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${plain(title)}</title>
<link rel="icon" href="data:,">
<style>
body { max-width: 60rem; margin: 0 auto; padding: 1.5rem; font: 16px/1.5 system-ui, sans-serif }
table { width: 100%; margin: 0.75rem 0; border-collapse: collapse }
caption { text-align: left; font-weight: 600 }
th, td { padding: 0.35rem 0.75rem 0.35rem 0; border-top: 1px solid #8884; text-align: left; vertical-align: top; font-weight: 400 }
code { font-size: 0.9em; overflow-wrap: anywhere }
pre { overflow-x: auto; padding: 0.75rem; background: #8881 }
th { width: 12rem; white-space: nowrap }
thead th { white-space: normal }
section { margin-top: 2rem }
</style>
</head>
<body>
<h1>${plain(title)}</h1>
<p>${prose(says)} For programs: <a href="asyncapi.json">AsyncAPI</a>.</p>
<nav><p>From the client: ${links(fromClient)}</p><p>From the server: ${links(fromServer)}</p></nav>
<h2 id="handshake">The handshake</h2>
${fieldsTable('<code>auth</code>', handshake)}
<h2>From the client</h2>
${fromClient.map(eventSection).join('\n')}
<h2>From the server</h2>
${fromServer.map(eventSection).join('\n')}
<h2 id="codes">Error codes</h2>
<table><thead><tr><th>Code</th><th>HTTP</th><th>A refused handshake comes back</th><th>Message</th></tr></thead>
<tbody>${codes.join('\n')}</tbody></table>
</body>
</html>
`;
}
