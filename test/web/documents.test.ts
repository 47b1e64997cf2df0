import asyncapi from '@asyncapi/specs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLIENT_EVENTS, SERVER_EVENTS } from '../../src/protocol/socket.ts';
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
  for (const event of Object.keys(CLIENT_EVENTS)) {
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

interface Route {
  summary?: string;
  tags?: string[];
  security?: unknown;
  parameters?: unknown[];
  requestBody?: unknown;
  responses: Record<string, unknown>;
}
