import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PROTOCOL_PAGE, withTables } from '../../scripts/protocol-page.ts';
import { CLIENT_EVENT_NAMES, type ClientEvent, rowOf } from '../../src/protocol/client-events.ts';
import { ERRORS } from '../../src/protocol/errors.ts';
import { type Field, socketReference } from '../../src/protocol/reference.ts';
import { HandshakeAuth, SERVER_EVENTS } from '../../src/protocol/socket.ts';
import { blocksOf } from '../support/page-blocks.ts';

const page = readFileSync(PROTOCOL_PAGE, 'utf8');
const { handshake, fromClient, fromServer } = socketReference();

test('the tables on the page are those that the schemas make: npm run protocol writes them', () => {
  expect(withTables(page)).toBe(page);
});

test('the page has every event of either side, every code, and an example of each event that its schema takes', () => {
  expect(fromClient.map(({ name }) => name)).toEqual(CLIENT_EVENT_NAMES);
  expect(fromServer.map(({ name }) => name)).toEqual([...Object.keys(SERVER_EVENTS), 'connect_error']);
  for (const name of [...CLIENT_EVENT_NAMES, ...Object.keys(SERVER_EVENTS), ...Object.keys(ERRORS)]) {
    expect(page).toContain(`| \`${name}\` |`);
  }
  const [examples = ''] = blocksOf(PROTOCOL_PAGE).flatMap(({ language, text }) => (language === 'json' ? [text] : []));
  for (const line of examples.trim().split('\n')) {
    const [name, payload] = JSON.parse(line);
    const schema =
      SERVER_EVENTS[name as keyof typeof SERVER_EVENTS] ?? (CLIENT_EVENT_NAMES.includes(name) && rowOf(name).request);
    if (schema) expect(schema.safeParse(payload).error, line).toBeUndefined();
    else expect(name).toBe('connect_error');
  }
});

/** Every name that may stand in a payload, fields of fields too, and every word that a field may say. */
function wordsOf(fields: Field[]): string[] {
  return fields.flatMap(({ name, type }) => [
    name,
    ...[...type.matchAll(/(\w+)\??: /g)].map(([, inner = '']) => inner),
    ...[...type.matchAll(/"(\w+)"/g)].map(([, value = '']) => value),
  ]);
}

const EVENTS = new Set([...CLIENT_EVENT_NAMES, ...Object.keys(SERVER_EVENTS)]);
const WORDS = new Set([
  ...EVENTS,
  ...wordsOf(handshake),
  ...[...fromClient, ...fromServer].flatMap(({ fields, answer }) => wordsOf([...fields, ...(answer ?? [])])),
]);
/** What stands in quotes in the examples and is no word of the protocol: addresses, names of people and of transports. */
const OTHERS = /^(https:\/\/presence\.example\.com|package:\S+|websocket|ada|phone-1|)$/;

describe.each(['kotlin', 'swift', 'dart'])('the client in %s', (language) => {
  const [text = ''] = blocksOf(PROTOCOL_PAGE).flatMap((block) => (block.language === language ? [block.text] : []));
  const quoted = [...text.matchAll(/(["'])((?:(?!\1)[^$\n])*)\1/g)].map(([, , said = '']) => said.trim());

  test('says and hears events that there are, with the names of their fields', () => {
    expect(quoted.length).toBeGreaterThan(10);
    expect(quoted.filter((said) => !WORDS.has(said) && !OTHERS.test(said))).toEqual([]);
    const heard = [...text.matchAll(/\.on\(["'](\w+)["']/g)].map(([, event = '']) => event);
    expect(heard).toEqual(expect.arrayContaining(['ready', 'user_status_change', 'token_expiring']));
    expect(heard.filter((event) => !Object.hasOwn(SERVER_EVENTS, event))).toEqual([]);
    const said = [...text.matchAll(/\.emit\(["'](\w+)["']/g)].map(([, event = '']) => event);
    expect(said).toContain('authenticate');
    expect(said.filter((event) => !CLIENT_EVENT_NAMES.includes(event as ClientEvent))).toEqual([]);
  });

  test('connects with a handshake that the server takes', () => {
    // As an object of JSON, whatever the language writes it like.
    const [, pairs = ''] = /((?:["'](?:token|deviceId|heartbeat|watch)["'](?: to |: )[^\n]*))/.exec(text) ?? [];
    const names = [...pairs.matchAll(/["'](\w+)["'](?: to |: )/g)].map(([, name = '']) => name);
    expect(names).toEqual(expect.arrayContaining(['token', 'deviceId', 'heartbeat']));
    expect(names.filter((name) => !handshake.some((field) => field.name === name))).toEqual([]);
    const given: Record<string, unknown> = { token: 't', deviceId: 'phone-1', heartbeat: 'pong', watch: ['ada'] };
    const auth = Object.fromEntries(names.map((name) => [name, given[name]]));
    expect(HandshakeAuth.safeParse(auth).success).toBe(true);
    expect(pairs).toMatch(/heartbeat["'](?: to |: )["']pong["']/);
  });
});
