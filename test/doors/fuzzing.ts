import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { z } from 'zod';
import { CLIENT_EVENT_NAMES, type ClientEvent, rowOf } from '../../src/protocol/client-events.ts';
import { ERRORS } from '../../src/protocol/errors.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import type { Deployment } from '../support/deployment.ts';

/** As much of JSON Schema as zod writes. */
interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  format?: string;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  anyOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
}

interface Operation {
  parameters?: { name: string; in: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}
export interface Document {
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

const FINE_IDS = ['ada', 'bob:1', 'c@d.example', `e${'x'.repeat(127)}`];
const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);

/** What breaks programs. */
const NASTY: unknown[] = [
  ...[null, true, 0, -1, 0.5, 1e308, -1e308, 2 ** 53, Number.MIN_VALUE, 2 ** 31],
  ...[
    '',
    ' ',
    '\u0000',
    'a\u0000b',
    '\ud800',
    '\udfff\ud800',
    '\u2028',
    '\u202e',
    'é',
    '👩‍👩‍👧‍👦',
    'ﷺ',
    '1e400',
    'NaN',
  ],
  ...[
    "'; DROP TABLE users; --",
    '{{7*7}}',
    '#{7*7}',
    '../../etc/passwd',
    '%00',
    '%',
    '*',
    '{s0}',
    '\r\nX: y',
    '__proto__',
  ],
  ...['x'.repeat(129), 'x'.repeat(100_000), '👍'.repeat(30_000)],
  ...[[], {}, [[]], [null], nested(500), Array.from({ length: 1001 }, (_, n) => `u${n}`), { $ne: '' }, { toString: 1 }],
  JSON.parse('{"__proto__":{"status":"inactive","isAdmin":true},"constructor":{"prototype":{"status":"inactive"}}}'),
];

const nasty: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...NASTY) },
  { weight: 1, arbitrary: fc.anything({ maxDepth: 2, withNullPrototype: false }).map(asJson) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
);

/** What the wire leaves of it; nothing stays null. */
function asJson(value: unknown): unknown {
  const text = JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
  return text === undefined ? null : JSON.parse(text);
}

/** Values that fit a schema, mostly, with something nasty in any place of it now and then. */
function fitting(schema: Schema, refs: Record<string, Schema>, wrong: number): fc.Arbitrary<unknown> {
  const fine = soundly(schema, refs, wrong);
  return fc.oneof({ weight: 100 - wrong, arbitrary: fine }, { weight: wrong, arbitrary: nasty });
}

function soundly(schema: Schema, refs: Record<string, Schema>, wrong: number): fc.Arbitrary<unknown> {
  const { $ref, anyOf, allOf, type, properties, required = [], items } = schema;
  if ($ref !== undefined) return soundly(refs[$ref.split('/').at(-1) ?? ''] ?? {}, refs, wrong);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const parts = anyOf ?? allOf;
  if (parts) return fc.oneof(...parts.map((part) => soundly(part, refs, wrong)));
  if (Array.isArray(type)) return fc.oneof(...type.map((one) => soundly({ ...schema, type: one }, refs, wrong)));
  if (type === 'array') return fc.array(fitting(items ?? {}, refs, wrong), { maxLength: 5 });
  if (type === 'boolean') return fc.boolean();
  if (type === 'null') return fc.constant(null);
  if (type === 'number' || type === 'integer') {
    const least = schema.minimum ?? schema.exclusiveMinimum ?? 0;
    const edges = [least, least + 1, schema.maximum ?? 1000];
    return fc.oneof(fc.constantFrom(...edges), fc.integer({ min: least, max: Math.min(schema.maximum ?? 1000, 1e9) }));
  }
  if (type === 'string' && (schema.pattern !== undefined || schema.format === 'date-time')) {
    return fc.constantFrom(...FINE_IDS, new Date().toISOString());
  }
  if (type === 'string') return fc.string({ maxLength: Math.min(schema.maxLength ?? 20, 50) });
  if (properties) {
    const keys = Object.fromEntries(
      Object.entries(properties).map(([key, part]) => [key, fitting(part, refs, wrong)] as const),
    );
    return fc
      .tuple(
        fc.record(keys, { requiredKeys: required.filter(() => wrong === 0) }),
        fc.option(fc.tuple(fc.constantFrom('extra', 'userId', 'toString', 'hasOwnProperty'), nasty), { freq: 8 }),
      )
      .map(([record, extra]) => (extra ? { [extra[0]]: extra[1], ...record } : record));
  }
  return nasty;
}

/** A share of sound values, so that the doors behind the first one are tried too. */
const WRONG = [0, 15, 60];
const fuzzed = (schema: Schema, refs: Record<string, Schema> = {}) =>
  fc.oneof(...WRONG.map((wrong) => fitting(schema, refs, wrong)));

export type Said = { event: ClientEvent; payload: unknown };

export const saidThings: fc.Arbitrary<Said> = fc.oneof(
  ...CLIENT_EVENT_NAMES.map((event) => {
    const json = z.toJSONSchema(rowOf(event).request, { io: 'input', unrepresentable: 'any' }) as Schema;
    const payload = fc.oneof(
      { weight: 12, arbitrary: fuzzed(json) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)) },
    );
    return payload.map((value) => ({ event, payload: value }));
  }),
);

export interface Asked {
  method: string;
  route: string;
  as: 'user' | 'service';
  params: Record<string, unknown>;
  query: Record<string, unknown>;
  /** A text is sent as it is. */
  body: unknown;
}

/** Long polls and erasures wait for what does not happen here. */
const SHORT_WAIT = fc.constantFrom('0', '-1', 'x', '31', '1e400', '');
/** Its answer never ends; test/flow/event-streams asks it what it must not be asked. */
const ENDLESS = '/events';
const isErasure = (method: string, route: string) => method === 'delete' && route === '/users/{id}';

export function askedThings(document: Document): fc.Arbitrary<Asked> {
  const refs = document.components?.schemas ?? {};
  const operations = Object.entries(document.paths).flatMap(([route, methods]) =>
    route === ENDLESS ? [] : Object.entries(methods).map(([method, operation]) => ({ route, method, operation })),
  );
  return fc.oneof(
    ...operations.map(({ route, method, operation: { parameters = [], requestBody } }) => {
      const own = isErasure(method, route) ? nasty.filter((id) => !isFineId(id)) : null;
      const among = (place: string) =>
        Object.fromEntries(
          parameters
            .filter((parameter) => parameter.in === place)
            .map(({ name, schema }) => [
              name,
              name === 'wait' ? SHORT_WAIT : (own ?? fc.oneof(fuzzed(schema, refs), fc.constant(SELF))),
            ]),
        );
      const sound = Object.values(requestBody?.content ?? {})[0]?.schema;
      const body = fc.oneof(
        { weight: 9, arbitrary: sound ? fuzzed(sound, refs) : fc.constant(undefined) },
        {
          weight: 1,
          arbitrary: fc.oneof(fc.string({ unit: 'binary', maxLength: 100 }), fc.constantFrom('{', '[1,', '"')),
        },
      );
      return fc.record<Asked>({
        method: fc.constant(method.toUpperCase()),
        route: fc.constant(route),
        as: fc.constantFrom('user', 'service'),
        params: fc.record(among('path')),
        query: fc.record(among('query'), { requiredKeys: [] }),
        body: method === 'get' ? fc.constant(undefined) : body,
      });
    }),
  );
}

/** Well below what one may send in ten seconds. */
const ENOUGH_BYTES = 512 * 1024;
const sizeOf = (said: unknown) => (Buffer.isBuffer(said) ? said.length : Buffer.byteLength(JSON.stringify(said) ?? ''));

/** Stands for whoever asks. */
const SELF = '(self)';
const isFineId = (id: unknown) => typeof id !== 'object' && /^[\w.\-@|+:~]{1,128}$/.test(String(id));

/** Somebody who says such things, and how everything about them stands. */
export class Fuzzer {
  readonly #rollcall: Deployment;
  #client: TestClient | null = null;
  #userId = '';
  #token = '';
  #service = '';
  #said = 0;
  #sent = 0;
  #state = '';
  readonly outcomes: Record<string, number> = {};

  constructor(rollcall: Deployment) {
    this.#rollcall = rollcall;
  }

  /** Throws where something came of it that must not. */
  async say({ event, payload }: Said): Promise<void> {
    const client = await this.#someone();
    const { socket } = client;
    this.#sent += sizeOf(payload);
    const answer = (await socket
      .timeout(5000)
      .emitWithAck(event, payload as never)
      .catch((error: unknown) => {
        throw new Error(`${event} was not answered`, { cause: error });
      })) as { ok: boolean; error?: { code: string } };
    const code = answer.ok ? 'ok' : (answer.error?.code ?? 'none');
    this.#judge(event, code);
    if (!answer.ok) return await this.#expectUnchanged(event);
    const sound = !Buffer.isBuffer(payload) && rowOf(event).request.safeParse(payload).success;
    if (!sound) throw new Error(`${event} was taken, against its schema`);
    if (event === 'logout') await client.isDisconnected();
    this.#state = await this.#look();
  }

  async ask({ method, route, as, params, query, body }: Asked): Promise<void> {
    await this.#someone();
    this.#sent += sizeOf(body);
    const text = (value: unknown) => {
      const told = value === SELF ? this.#userId : typeof value === 'object' ? JSON.stringify(value) : String(value);
      return encodeURIComponent(told.toWellFormed().slice(0, 4000));
    };
    const path = route.replace(/\{(\w+)\}/g, (_, name: string) => text(params[name]));
    const search = Object.entries(query).map(([name, value]) => `${name}=${text(value)}`);
    const token = as === 'user' ? this.#token : this.#service;
    const answer = await rest(this.#rollcall.url, method, `${path}?${search.join('&')}`, { token, body });
    const code = answer.status < 300 ? 'ok' : answer.status === 302 ? 'moved' : (answer.body?.code ?? 'none');
    this.#judge(`${method} ${route}`, code);
    if (code !== 'ok' || method === 'GET') await this.#expectUnchanged(`${method} ${route}`);
    else this.#state = await this.#look();
  }

  close(): void {
    this.#client?.leave();
  }

  #judge(what: string, code: string): void {
    this.outcomes[code] = (this.outcomes[code] ?? 0) + 1;
    if (!(code in ERRORS) && code !== 'ok' && code !== 'moved') throw new Error(`${what} was answered ${code}`);
    // Nobody is exported more than once a minute; all else is below its limits.
    const isLimited = code === 'RATE_LIMITED' && what !== 'GET /users/{id}/export';
    if (code === 'INTERNAL_ERROR' || isLimited) throw new Error(`${what} was answered ${code}`);
  }

  /** A fresh one every now and then, below every limit. */
  async #someone(): Promise<TestClient> {
    const known = this.#client;
    if (known && known.disconnects.length === 0 && this.#said++ < 60 && this.#sent < ENOUGH_BYTES) return known;
    known?.leave();
    this.#said = 0;
    this.#sent = 0;
    this.#userId = `fuzz-${crypto.randomUUID()}`;
    this.#token = await tokenFor(this.#userId);
    this.#service = await tokenFor('backend', { scope: 'presence:write' });
    const client = await TestClient.connect(this.#rollcall.url, this.#userId, { watch: [], deviceId: 'laptop' });
    this.#client = client;
    await client.socket.emitWithAck('set_detail', { text: 'here', emoji: '🙂' });
    this.#state = await this.#look();
    return client;
  }

  async #expectUnchanged(what: string): Promise<void> {
    const now = await this.#look();
    if (now !== this.#state) throw new Error(`${what} was refused and changed something`);
  }

  /** A digest of all that the stores keep of this user. */
  async #look(): Promise<string> {
    const { redis, db } = this.#rollcall;
    const key = (name: string) => this.#rollcall.key(`user:${name}:${this.#userId}`);
    const rows = (table: string, ...columns: string[]) =>
      db(table)
        .where((query) => {
          for (const column of columns) query.orWhere(column, this.#userId);
        })
        .then((found) => found.map((row) => JSON.stringify(row)).sort());
    const all = await Promise.all([
      redis.hgetall(key('sessions')),
      redis.mget(key('status'), key('last_seen'), key('privacy')),
      redis.smembers(key('friends')),
      redis.smembers(key('blocks')),
      rows('users', 'id'),
      rows('user_settings', 'user_id'),
      rows('friendships', 'user_id', 'friend_id'),
      rows('blocks', 'user_id', 'blocked_id'),
      rows('push_subscriptions', 'user_id'),
      rows('conversation_members', 'user_id'),
    ]);
    return createHash('sha256').update(JSON.stringify(all)).digest('hex');
  }
}
