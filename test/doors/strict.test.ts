import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { CLIENT_EVENT_NAMES } from '../../src/protocol/client-events.ts';
import { HandshakeAuth } from '../../src/protocol/socket.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { dereferenced } from '../support/openapi.ts';

/** As much of JSON Schema as the documents hold. */
interface Schema {
  type?: string | string[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: unknown;
  items?: Schema;
}

interface Body {
  content: { 'application/json': { schema: Schema; example?: object; examples?: Record<string, { value: object }> } };
}
interface Route {
  parameters?: { name: string; in: string }[];
  requestBody?: Body;
}

let rollcall: Deployment;
let openapi: { paths: Record<string, Record<string, Route>> };
let asyncapi: {
  operations: Record<string, { action: string }>;
  channels: { socket: { messages: Record<string, { payload: Schema; examples: { payload: object }[] }> } };
};
const clients: TestClient[] = [];

beforeAll(async () => {
  rollcall = await Deployment.start('strict', { env: CALM });
  openapi = dereferenced((await rest(rollcall.url, 'GET', '/docs/json')).body);
  asyncapi = (await rest(rollcall.url, 'GET', '/docs/asyncapi.json')).body;
});
afterEach(() => {
  for (const client of clients.splice(0)) client.leave();
});
afterAll(() => rollcall?.stop());

const UNKNOWN = 'expiresIn';
const toldOfIt = { code: 'INVALID_REQUEST', message: expect.stringContaining(`"${UNKNOWN}" is not known here`) };

/** What somebody says of themselves in a room is any object there is. */
const FREE = /\.data$/;

/** What a schema lets in that it should not, or keeps out, in any place of it. */
function faultsOf(schema: Schema, where: string): string[] {
  const { properties = {}, required = [], items, anyOf = [] } = schema;
  const faults = [...anyOf.flatMap((one) => faultsOf(one, where)), ...(items ? faultsOf(items, `${where}[]`) : [])];
  const isFree = FREE.test(where);
  if (takes(schema, 'object') && anyOf.length === 0 && schema.additionalProperties !== false && !isFree)
    faults.push(`${where}: anything`);
  for (const [name, field] of Object.entries(properties)) {
    faults.push(...faultsOf(field, `${where}.${name}`));
    if (!required.includes(name) && !takes(field, 'null')) faults.push(`${where}.${name}: no null`);
  }
  return faults;
}

function takes({ type, anyOf = [] }: Schema, wanted: string): boolean {
  return [type].flat().includes(wanted) || anyOf.some((one) => takes(one, wanted));
}

function objectIn(schema: Schema): Schema {
  return schema.properties ? schema : ((schema.anyOf ?? []).find(({ properties }) => properties) ?? {});
}

/** Each of them without a field that may be left out, and with null in its place. */
function* withNulls(schema: Schema, examples: object[]): Generator<[name: string, without: object, withNull: object]> {
  const { properties = {}, required = [] } = objectIn(schema);
  for (const name of Object.keys(properties).filter((field) => !required.includes(field))) {
    for (const example of examples) {
      const { [name]: _left, ...without }: Record<string, unknown> = { ...example };
      yield [name, without, { ...without, [name]: null }];
    }
  }
}

/** The writes, by their documents; a path with ids in it. */
const writes = () =>
  Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'get')
      .map(([method, route]) => {
        let others = 0;
        const filled = path.replace(/\{(\w+)\}/g, (_, name) => (name === 'id' ? 'ada' : `other-${others++}`));
        const media = route.requestBody?.content['application/json'];
        const examples = [
          media?.example ?? [],
          ...Object.values(media?.examples ?? {}).map(({ value }) => value),
        ].flat();
        return { name: `${method.toUpperCase()} ${path}`, method: method.toUpperCase(), path: filled, media, examples };
      }),
  );

describe('a write over HTTP', () => {
  test('takes what its document names and nothing else, and null for all that may be left out', () => {
    const bodies = writes().filter(({ media }) => media);
    expect(bodies.length).toBeGreaterThan(6);
    const faults = bodies.flatMap(({ name, media }) => faultsOf(media?.schema ?? {}, name));
    expect(faults).toEqual([]);
  });

  test('is refused with an unknown field, which is named, by every route there is, whether it takes a body or not', async () => {
    const token = await tokenFor('ada');
    for (const { name, method, path, media, examples } of writes()) {
      expect(media === undefined || examples.length > 0, name).toBe(true);
      for (const example of media ? examples : [{}]) {
        const body = { ...example, [UNKNOWN]: 60 };
        const answer = await rest(rollcall.url, method, path, { token, body });
        expect([name, answer.status, answer.body]).toMatchObject([name, 400, toldOfIt]);
      }
    }
  });

  test('is answered with null in it as it is without the field', async () => {
    const service = await tokenFor('backend', { scope: 'presence:write' });
    let asked = 0;
    for (const { name, method, path, media, examples } of writes()) {
      for (const [field, without, withNull] of withNulls(media?.schema ?? {}, examples)) {
        const ask = (body: object) => rest(rollcall.url, method, path, { token: service, body });
        const [plain, written] = [await ask(without), await ask(withNull)];
        expect([name, field, written.status, written.body?.code]).toEqual([
          name,
          field,
          plain.status,
          plain.body?.code,
        ]);
        asked++;
      }
    }
    expect(asked).toBeGreaterThan(8);
  });

  test('that takes no body may come with an empty one, as many clients send it', async () => {
    const token = await tokenFor('ada');
    for (const body of ['', 'null', '{}', '[]']) {
      const answer = await rest(rollcall.url, 'PUT', '/users/ada/blocks/mallory', { token, body });
      expect([body, answer.status]).toEqual([body, 204]);
    }
    for (const body of ['"x"', '7', '[{}]', 'true']) {
      const answer = await rest(rollcall.url, 'PUT', '/users/ada/blocks/mallory', { token, body });
      expect([body, answer.body.code]).toEqual([body, 'INVALID_REQUEST']);
    }
  });

  test('names what was meant: nobody appears inactive for ever for want of a few letters', async () => {
    const token = await tokenFor('ada');
    const ask = (body: object) => rest(rollcall.url, 'POST', '/users/status', { token, body });
    const answer = await ask({ status: 'inactive', expiresIn: 60 });
    expect(answer.body.message).toBe('"expiresIn" is not known here; did you mean "expiresInSeconds"?');
    expect((await ask({ status: 'inactive', userId: null, expiresInSeconds: 0.1 })).body).toMatchObject({
      userId: 'ada',
    });
  });
});

describe('an event', () => {
  const events = () =>
    Object.entries(asyncapi.operations)
      .filter(([, { action }]) => action === 'receive')
      .map(([event]) => {
        const message = asyncapi.channels.socket.messages[event];
        return { event, payload: message?.payload ?? {}, examples: message?.examples.map((one) => one.payload) ?? [] };
      });
  const say = async (event: string, payload: unknown) => {
    const client = await TestClient.connect(rollcall.url, 'ada');
    clients.push(client);
    const socket = client.socket as unknown as { emitWithAck(name: string, sent: unknown): Promise<Said> };
    return await socket.emitWithAck(event, payload);
  };
  interface Said {
    ok: boolean;
    error?: { code: string; message: string };
  }

  test('takes what its document names and nothing else, and null for all that may be left out', () => {
    expect(events().map(({ event }) => event)).toEqual(CLIENT_EVENT_NAMES);
    expect(events().flatMap(({ event, payload }) => faultsOf(payload, event))).toEqual([]);
  });

  test('is refused with an unknown field, which is named, whichever it is', async () => {
    for (const { event, examples } of events()) {
      expect(examples, event).not.toEqual([]);
      for (const example of examples) {
        const answer = await say(event, { ...example, [UNKNOWN]: 60 });
        expect([event, answer]).toEqual([event, { ok: false, error: toldOfIt }]);
      }
    }
  });

  test('is answered with null in it as it is without the field', async () => {
    let said = 0;
    for (const { event, payload, examples } of events()) {
      for (const [field, without, withNull] of withNulls(payload, examples)) {
        const [plain, written] = [await say(event, without), await say(event, withNull)];
        expect([event, field, written.ok, written.error]).toEqual([event, field, plain.ok, plain.error]);
        said++;
      }
    }
    expect(said).toBeGreaterThan(6);
  });
});

describe('a handshake', () => {
  test('with null for all that may be left out is like one with a token alone', async () => {
    const { properties = {}, required = [] } = z.toJSONSchema(HandshakeAuth, { io: 'input' }) as Schema;
    const names = Object.keys(properties).filter((name) => !required.includes(name));
    expect(names).toContain('deviceId');
    const client = await TestClient.connect(rollcall.url, 'nil', Object.fromEntries(names.map((name) => [name, null])));
    clients.push(client);
    expect(client.ready).toMatchObject({ userId: 'nil', users: expect.any(Array) });
    const named = await TestClient.connect(rollcall.url, 'nil', { device: { kind: 'web', name: null } });
    clients.push(named);
    const { body } = await rest(rollcall.url, 'GET', '/users/nil/sessions', { token: await tokenFor('nil') });
    const devices = body.sessions.map(({ device }: { device: object }) => device);
    expect(devices).toEqual(
      expect.arrayContaining([
        { kind: 'web', name: null },
        { kind: 'other', name: null },
      ]),
    );
  });

  test('of a client that is newer than the server is let in, and the log names once what was passed over', async () => {
    const [web] = rollcall.webs;
    for (let n = 0; n < 3; n++) {
      clients.push(await TestClient.connect(rollcall.url, 'newer', { deviceID: 'x', colour: 'red' }));
    }
    await web?.said(/"deviceID\\" is not known here; did you mean \\"deviceId\\"/);
    const told = (name: string) => web?.lines.filter((line) => line.includes(`\\"${name}\\" is not known here`)).length;
    expect([told('deviceID'), told('colour')]).toEqual([1, 1]);
  });
});
