import { createHash } from 'node:crypto';
import { isPrivateHost } from '../outbound-address.ts';
import { type Environment, isUrl, quote } from './environment.ts';

/** What the change feed tells of, as webhooks choose it: `status` is who became active or inactive, `rooms` those of `ROOMS_TOLD`. */
export const FEED_TYPES = ['status', 'rooms'] as const;
export type FeedType = (typeof FEED_TYPES)[number];

/** A receiver of webhooks, and which part of the change feed it is told. */
export interface WebhookSettings {
  /** Of `WEBHOOKS` its name; `default` is the one of `WEBHOOK_URL`. Told by metrics, jobs and logs. */
  name: string;
  url: string;
  /** What its webhooks are signed with, each at least 32 bytes; several while they are rotated. Never empty. */
  secrets: readonly string[];
  types: readonly FeedType[];
  /** Only users whose ids begin with one of these; null: all. */
  users: readonly string[] | null;
  /** Only rooms whose ids begin with one of these; null: all of which anything is told. */
  rooms: readonly string[] | null;
}

/** What stands for the webhook of `WEBHOOK_URL` where others have a name. */
export const DEFAULT_WEBHOOK = 'default';

/**
 * What stands for a receiver in PostgreSQL: the name it was given, so that it may move to another address; of one without a
 * name its address, as a digest, for it may hold a secret.
 */
export function receiverOf({ name, url }: Pick<WebhookSettings, 'name' | 'url'>): string {
  return name === DEFAULT_WEBHOOK ? createHash('sha256').update(url).digest('hex') : name;
}

const LEAST_BYTES = 32;
const MOST_WEBHOOKS = 32;
const MOST_SECRETS = 8;
const MOST_PREFIXES = 1000;
/** Never as long as a digest. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/;
const ID_PREFIX = /^[A-Za-z0-9._@|+:~-]{1,128}$/;
/** As Standard Webhooks writes a secret. */
const STANDARD_SECRET = /^whsec_(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** Names that lead nowhere but into a private network: of one word (a neighbour in compose), and those kept for it. */
const PRIVATE_NAME = /^[^.]+$|\.(local|internal|lan|svc|home\.arpa)$/i;

/** Where webhooks go, and what they are signed with: that of `WEBHOOK_URL`, and those of `WEBHOOKS`. */
export function readWebhooks(from: Environment): WebhookSettings[] {
  const first = readFirst(from);
  return [...(first === null ? [] : [first]), ...readList(from)];
}

function readFirst(from: Environment): WebhookSettings | null {
  const url = from.url('WEBHOOK_URL', ['https:', 'http:']);
  const secret = from.secret('WEBHOOK_SECRET');
  if (!from.sound('WEBHOOK_URL')) return null;
  if (url === undefined) {
    if (secret !== undefined) from.problem('WEBHOOK_URL', 'is required where WEBHOOK_SECRET is set');
    return null;
  }
  const problem = addressProblem(url, 'WEBHOOK_SECRET');
  if (problem !== null) from.problem('WEBHOOK_URL', problem);
  const bytes = Buffer.byteLength(secret ?? '');
  if (secret === undefined) from.problem('WEBHOOK_SECRET', 'is required where WEBHOOK_URL is set');
  else if (bytes < LEAST_BYTES) from.problem('WEBHOOK_SECRET', `must have at least ${LEAST_BYTES} bytes, got ${bytes}`);
  return { name: DEFAULT_WEBHOOK, url, secrets: [secret ?? ''], types: FEED_TYPES, users: null, rooms: null };
}

/** What is wrong with where a webhook is to go, as a sentence; null where nothing is. */
function addressProblem(url: string, secret: string): string | null {
  const { protocol, hostname, username, password, hash } = new URL(url);
  if (username !== '' || password !== '') return `may not hold a user or a password: ${secret} proves who calls`;
  if (protocol === 'http:' && !isPrivateHost(hostname) && !PRIVATE_NAME.test(hostname)) {
    return 'must begin with https:// unless it leads into a private network';
  }
  return hash === '' ? null : 'may not have a part behind #';
}

const EXAMPLE = '[{ "name": "billing", "url": "https://…", "secret": "…" }]';
const KEYS = ['name', 'url', 'secret', 'types', 'users', 'rooms'];

function readList(from: Environment): WebhookSettings[] {
  const text = from.text('WEBHOOKS');
  if (text === undefined) return [];
  const list = parsed(text);
  if (!Array.isArray(list)) {
    from.problem('WEBHOOKS', `must be a list in JSON, such as ${EXAMPLE}`);
    return [];
  }
  if (list.length > MOST_WEBHOOKS) from.problem('WEBHOOKS', `may list at most ${MOST_WEBHOOKS}, got ${list.length}`);
  const names = new Set<string>();
  return list.slice(0, MOST_WEBHOOKS).map((entry: unknown, n) => {
    const { name = `number ${n + 1}` } = (isObject(entry) ? entry : {}) as { name?: unknown };
    const called =
      typeof name === 'string' && (NAME.test(name) || name === `number ${n + 1}`) ? name : `number ${n + 1}`;
    const webhook = readEntry(entry, (sentence) => from.problem('WEBHOOKS', `(${called}): ${sentence}`));
    if (names.has(webhook.name)) from.problem('WEBHOOKS', `(${called}): another one has this name already`);
    names.add(webhook.name);
    return webhook;
  });
}

/** Reads one of the list and tells whatever is wrong with it; nothing of its values but names and numbers. */
function readEntry(entry: unknown, problem: (sentence: string) => void): WebhookSettings {
  const given = isObject(entry) ? entry : {};
  if (!isObject(entry)) problem(`must be an object, such as ${EXAMPLE}`);
  for (const key of Object.keys(given)) {
    if (!KEYS.includes(key)) problem(`${quote(key)} is none of ${KEYS.join(', ')}`);
  }
  return {
    name: nameOf(given.name, problem),
    url: urlOf(given.url, problem),
    secrets: secretsOf(given.secret, problem),
    types: typesOf(given.types, problem),
    users: prefixesOf('users', given.users, problem),
    rooms: prefixesOf('rooms', given.rooms, problem),
  };
}

function nameOf(name: unknown, problem: (sentence: string) => void): string {
  if (typeof name !== 'string' || !NAME.test(name)) {
    problem('name must be of small letters, digits, _ and -, and have at most 32 of them');
  } else if (name === DEFAULT_WEBHOOK) problem(`name may not be ${DEFAULT_WEBHOOK}, which is that of WEBHOOK_URL`);
  return String(name);
}

function urlOf(url: unknown, problem: (sentence: string) => void): string {
  if (typeof url !== 'string' || !isUrl(url, ['https:', 'http:'])) {
    problem('url must be an address that begins with https:// or http://');
    return '';
  }
  const wrong = addressProblem(url, 'secret');
  if (wrong !== null) problem(`url ${wrong}`);
  return url;
}

function secretsOf(secret: unknown, problem: (sentence: string) => void): string[] {
  const secrets = [secret ?? []].flat().filter((one) => typeof one === 'string');
  if (secrets.length === 0 || secrets.length > MOST_SECRETS || secrets.length < [secret].flat().length) {
    problem(`secret must be a text, or a list of one to ${MOST_SECRETS} texts while it is rotated`);
  }
  for (const one of secrets) {
    const bytes = Buffer.byteLength(one);
    if (bytes < LEAST_BYTES) problem(`secret must have at least ${LEAST_BYTES} bytes, got ${bytes}`);
    else if (one.startsWith('whsec_') && !STANDARD_SECRET.test(one)) {
      problem('secret begins with whsec_, so that base64 must follow');
    }
  }
  return secrets;
}

function typesOf(types: unknown, problem: (sentence: string) => void): FeedType[] {
  if (types === undefined || types === null) return [...FEED_TYPES];
  const known = [types].flat().filter((type) => FEED_TYPES.some((one) => one === type)) as FeedType[];
  if (!Array.isArray(types) || types.length === 0 || known.length < types.length) {
    problem(`types must be a list of one or more of: ${FEED_TYPES.join(', ')}`);
  }
  return known;
}

function prefixesOf(key: 'users' | 'rooms', prefixes: unknown, problem: (sentence: string) => void): string[] | null {
  if (prefixes === undefined || prefixes === null) return null;
  const sound = [prefixes].flat().filter((one) => typeof one === 'string' && ID_PREFIX.test(one)) as string[];
  if (!Array.isArray(prefixes) || sound.length === 0 || sound.length < prefixes.length) {
    const such = key === 'users' ? 'user ids, such as ["acme:"]' : 'ids of rooms, such as ["doc:"]';
    problem(`${key} must be a list of beginnings of ${such}`);
  } else if (sound.length > MOST_PREFIXES) problem(`${key} may list at most ${MOST_PREFIXES}, got ${sound.length}`);
  return sound;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
