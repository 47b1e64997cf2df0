import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { ERRORS } from '../src/protocol/errors.ts';
import { type EventReference, type Field, socketReference } from '../src/protocol/reference.ts';

/**
 * `node scripts/protocol-page.ts`: writes the tables of docs/protocol.md anew, each between `<!-- generated: its name -->`
 * and `<!-- end -->`, from the schemas that check what crosses the network. The rest of the page is written by hand.
 */
export const PROTOCOL_PAGE = 'docs/protocol.md';

/** The page with its tables as they have to be. Throws where it has no place for one, or a place for none. */
export function withTables(page: string): string {
  const { handshake, fromClient, fromServer } = socketReference();
  const tables = new Map([
    [
      'handshake',
      table(
        ['field', 'type', ''],
        handshake.map((field) => [named(field), code(field.type), text(field.says)]),
      ),
    ],
    [
      'client events',
      table(
        ['event', 'payload', 'acknowledged with, beside `ok: true`', 'for'],
        fromClient.map((event) => [code(event.name), payload(event), shape(event.answer ?? []), text(event.says)]),
      ),
    ],
    [
      'server events',
      table(
        ['event', 'payload', 'says'],
        fromServer.map((event) => [code(event.name), payload(event), text(event.says)]),
      ),
    ],
    ['examples', examples([...fromClient, ...fromServer])],
    [
      'errors',
      table(
        ['code', 'HTTP status', 'the same again later may help', 'a refused handshake comes back', 'message'],
        Object.entries(ERRORS).map(([name, { statusCode, retry, reconnect, message }]) => [
          code(name),
          String(statusCode),
          retry ? 'yes' : 'no',
          reconnect ?? '–',
          text(message),
        ]),
      ),
    ],
  ]);
  const written = page.replaceAll(/^<!-- generated: (.+?) -->\n.*?^<!-- end -->$/gms, (_, name: string) => {
    const made = tables.get(name);
    if (made === undefined) throw new Error(`${PROTOCOL_PAGE} has a place for ${name}, which is not made.`);
    tables.delete(name);
    return `<!-- generated: ${name} -->\n${made}\n<!-- end -->`;
  });
  if (tables.size > 0) throw new Error(`${PROTOCOL_PAGE} has no place for ${[...tables.keys()].join(', ')}.`);
  return written;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |');
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const text = (said: string) => said.replaceAll('|', '\\|');
const code = (said: string) => `\`${text(said)}\``;
const named = ({ name, optional }: Field) => code(`${name}${optional ? '?' : ''}`);

function shape(fields: Field[]): string {
  if (fields.length === 0) return '';
  return code(`{ ${fields.map(({ name, optional, type }) => `${name}${optional ? '?' : ''}: ${type}`).join(', ')} }`);
}

const payload = (event: EventReference) => `${shape(event.fields)}${event.mayBeEmpty ? ' or nothing' : ''}`;

function examples(events: EventReference[]): string {
  return ['```json', ...events.map(({ name, example }) => `["${name}", ${example}]`), '```'].join('\n');
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await writeFile(PROTOCOL_PAGE, withTables(await readFile(PROTOCOL_PAGE, 'utf8')));
}
