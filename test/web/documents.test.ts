import asyncapi from '@asyncapi/specs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { httpErrorBody, RollcallError } from '../../src/errors.ts';
import { CLIENT_EVENT_NAMES } from '../../src/protocol/client-events.ts';
import { ERRORS, type ErrorCode } from '../../src/protocol/errors.ts';
import { REFUSED } from '../../src/protocol/examples.ts';
import { SERVER_EVENTS } from '../../src/protocol/socket.ts';
import { openWorld, type World } from './rest-world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.app.close());

const documentAt = async (url: string) => {
  const answer = await world.app.inject(url);
  expect(answer.statusCode).toBe(200);
  return answer.json();
};

test('the description of the routes is a valid OpenAPI 3.1 document', async () => {
  const validator = new Validator();
  const result = await validator.validate(await documentAt('/docs/json'));
  expect(result.errors ?? []).toEqual([]);
  expect([result.valid, validator.version]).toEqual([true, '3.1']);
});

test('every route says what it does, and which bad requests it refuses', async () => {
  const { paths } = await documentAt('/docs/json');
  const missing: string[] = [];
  for (const [path, item] of Object.entries<Record<string, Route>>(paths)) {
    for (const [verb, route] of Object.entries(item)) {
      if (!route.summary) missing.push(`${verb} ${path}: a summary`);
      if (!route.tags?.length) missing.push(`${verb} ${path}: a tag`);
      if (route.security && !route.responses['401']) missing.push(`${verb} ${path}: 401`);
      if ((route.parameters?.length || route.requestBody) && !route.responses['400'])
        missing.push(`${verb} ${path}: 400`);
    }
  }
  expect(missing).toEqual([]);
});

test('every body and every answer of a route has examples, and each of them is what its schema asks for', async () => {
  const { paths, webhooks } = await documentAt('/docs/json');
  const faults: string[] = [];
  for (const [path, item] of Object.entries<Record<string, Route>>({ ...paths, ...webhooks })) {
    for (const [verb, route] of Object.entries(item)) {
      const said = { body: route.requestBody, ...route.responses };
      for (const [name, { content }] of Object.entries<Said>(said as Record<string, Said>).filter(([, of]) => of)) {
        const media = content?.['application/json'];
        if (media) faults.push(...faultsOf(`${verb} ${path} ${name}`, media.schema, examplesOf(media)));
        else if (content) faults.push(`${verb} ${path} ${name}: no JSON`);
      }
    }
  }
  expect(faults).toEqual([]);
});

test('what the examples of a refusal say is what the table of errors says', async () => {
  const { paths } = await documentAt('/docs/json');
  const { responses } = paths['/users/{id}/status'].get;
  for (const [status, response] of Object.entries<Said>(responses).filter(([of]) => Number(of) >= 400)) {
    const media = response.content?.['application/json'];
    for (const example of media ? examplesOf(media) : []) {
      const { code } = example as { code: ErrorCode };
      expect(example).toEqual(httpErrorBody(new RollcallError(code)));
      expect(`${ERRORS[code].statusCode}`).toBe(status);
    }
  }
});

test('a backend is told all it needs: tokens, roles, codes, limits, pages, and how a webhook is signed', async () => {
  const document = await documentAt('/docs/json');
  const said: string = document.info.description;
  for (const code of Object.keys(ERRORS)) expect(said).toContain(code);
  for (const word of [
    'presence:read',
    'presence:write',
    'Retry-After',
    'nextCursor',
    'CURSOR_TOO_OLD',
    '"sub"',
    'exp',
  ]) {
    expect(said.replaceAll('`sub`', '"sub"')).toContain(word);
  }
  expect(document.webhooks.changes.post.description).toContain('HMAC-SHA256');
  const named = new Set(document.tags.map(({ name }: { name: string }) => name));
  for (const [path, item] of Object.entries<Record<string, Route>>(document.paths)) {
    for (const [verb, route] of Object.entries(item)) {
      expect(named, `${verb} ${path}`).toContain(route.tags?.[0]);
      // Whatever needs a token says whose.
      if (route.security) expect(route.description, `${verb} ${path}`).toMatch(/user|[Ss]ervice/);
    }
  }
  expect(document.paths['/analytics/active'].get.security).toEqual([{ bearer: ['presence:read'] }]);
});

test('every message of the sockets has examples, and each of them is what its schema asks for', async () => {
  const { channels, components } = await documentAt('/docs/asyncapi.json');
  const faults: string[] = [];
  for (const [name, message] of Object.entries<Message>(channels.socket.messages)) {
    faults.push(...faultsOf(name, message.payload, message.examples?.map(({ payload }) => payload) ?? []));
  }
  const { HandshakeAuth } = components.schemas;
  faults.push(...faultsOf('the handshake', HandshakeAuth, HandshakeAuth.examples));
  expect(faults).toEqual([]);
  for (const refused of Object.values(REFUSED)) expect(refused.message).toBe(ERRORS[refused.code].message);
});

test('the description of the sockets is a valid AsyncAPI 3 document', async () => {
  const document = await documentAt('/docs/asyncapi.json');
  const schema = asyncapi.schemasWithoutId['3.0.0'] as object;
  // The schema names formats that say nothing about structure.
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
  validate(document);
  expect(validate.errors ?? []).toEqual([]);
});

test('every event of either side is described, with its payload and its acknowledgement', async () => {
  const { channels, operations } = await documentAt('/docs/asyncapi.json');
  for (const event of CLIENT_EVENT_NAMES) {
    expect(operations[event]).toMatchObject({
      action: 'receive',
      reply: { messages: [{ $ref: expect.stringContaining(`${event}_ack`) }] },
    });
    expect(channels.socket.messages[event].payload, event).toBeDefined();
  }
  for (const event of Object.keys(SERVER_EVENTS)) {
    expect(operations[event], event).toMatchObject({ action: 'send' });
    expect(channels.socket.messages[event].payload, event).toMatchObject({ type: 'object' });
  }
  const { watch } = channels.socket.messages;
  expect(watch.payload.properties.userIds).toMatchObject({ type: 'array', minItems: 1, maxItems: 1000 });
});

/** What is wrong with the examples of something; one at least is wanted. */
function faultsOf(what: string, schema: object, examples: unknown[]): string[] {
  if (examples.length === 0) return [`${what}: no example`];
  // Formats are checked by the patterns beside them.
  const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
  return examples.flatMap((example) =>
    validate(example) ? [] : [`${what}: ${JSON.stringify(example)} ${JSON.stringify(validate.errors)}`],
  );
}

function examplesOf({ example, examples = {} }: Media): unknown[] {
  return [...(example === undefined ? [] : [example]), ...Object.values(examples).map(({ value }) => value)];
}

interface Media {
  schema: object;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

interface Said {
  content?: Record<string, Media>;
}

interface Message {
  payload: object;
  examples?: { payload: unknown }[];
}

interface Route {
  summary?: string;
  description?: string;
  tags?: string[];
  security?: unknown;
  parameters?: unknown[];
  requestBody?: unknown;
  responses: Record<string, unknown>;
}
