import { KeyObject } from 'node:crypto';

/** Names of what must never be said. */
export const SECRET_KEY = /token|password|passwd|secret|authorization|cookie|api_?key|private_?key|^auth$/i;

/** What is shorter stands in too many lines by chance, and is guessed sooner than found there. */
const SHORTEST = 6;
/** A part of a webhook's path that is so long may be what lets callers in. */
const SHORTEST_PATH_PART = 16;
const DEEPEST = 6;

/**
 * Every text in settings that must not stand in a log, whatever it is called there: what lies under the name of a secret, and
 * of addresses the password and the values behind `?`, each also as addresses and HTTP Basic write it. A password that is
 * the name of its user or of the database too is left out, for it stands openly elsewhere.
 */
export function secretsIn(settings: object): string[] {
  const secrets = new Set<string>();
  const open = new Set<string>();
  walk(settings, '', 0, { secrets, open });
  const { adminUser, adminPassword }: { adminUser?: unknown; adminPassword?: unknown } = settings as never;
  if (typeof adminPassword === 'string') secrets.add(base64(`${adminUser}:${adminPassword}`));
  return [...secrets].filter((secret) => secret.length >= SHORTEST && !open.has(secret));
}

interface Found {
  secrets: Set<string>;
  open: Set<string>;
}

function walk(value: unknown, key: string, depth: number, found: Found): void {
  if (depth > DEEPEST || value === null) return;
  if (typeof value === 'string') {
    if (SECRET_KEY.test(key)) add(found, value);
    if (key === 'headers') for (const header of value.split(',')) add(found, header.replace(/^[^=]*=/, '').trim());
    if (value.includes('://')) addAddress(found, value, key);
  } else if (value instanceof KeyObject) {
    if (value.type === 'secret') add(found, value.export().toString());
  } else if (typeof value === 'object') {
    for (const [name, entry] of Object.entries(value)) {
      walk(entry, Array.isArray(value) ? key : `${key === 'webhooks' ? 'webhook ' : ''}${name}`, depth + 1, found);
    }
  }
}

function addAddress(found: Found, text: string, key: string): void {
  const url = URL.parse(text);
  if (url === null) return;
  const { username, password, searchParams, pathname, hostname } = url;
  const isStore = !/^https?:$/.test(url.protocol);
  for (const open of [username, decoded(username), hostname]) found.open.add(open);
  if (isStore) found.open.add(decoded(pathname.slice(1)));
  if (password !== '') {
    add(found, decoded(password));
    found.secrets.add(password);
    found.secrets.add(base64(`${decoded(username)}:${decoded(password)}`));
  }
  // Of a store's address they are options; `password` may be among them.
  for (const [name, value] of searchParams) if (!isStore || SECRET_KEY.test(name)) add(found, value);
  if (!key.startsWith('webhook ')) return;
  for (const part of pathname.split('/')) if (part.length >= SHORTEST_PATH_PART) add(found, decoded(part));
}

function add({ secrets }: Found, secret: string): void {
  secrets.add(secret);
  secrets.add(encodeURIComponent(secret));
  // Libraries take the key without it, too.
  if (secret.startsWith('whsec_')) secrets.add(secret.slice('whsec_'.length));
}

/** As it was meant; what is no percent encoding stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/**
 * Takes these secrets out of finished lines of JSON, wherever in a line they stand and however they are escaped there; lines
 * stay JSON. Costs one search where a line has none.
 */
export function secretsRemover(secrets: readonly string[], hidden: string): (line: string) => string {
  if (secrets.length === 0) return (line) => line;
  const escaped = secrets.map((secret) => JSON.stringify(secret).slice(1, -1));
  const any = patternOf([...secrets, ...escaped, ...escaped.map((secret) => JSON.stringify(secret).slice(1, -1))]);
  const cleaned = (text: string) => text.replaceAll(any, hidden);
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return cleaned(value);
    // A password of digits may be a number somewhere.
    if (typeof value === 'number') return String(value).search(any) < 0 ? value : hidden;
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, entry]) => [cleaned(name), walk(entry)]));
  };
  return (line) => {
    if (line.search(any) < 0) return line;
    try {
      return `${JSON.stringify(walk(JSON.parse(line)))}\n`;
    } catch {
      return cleaned(line);
    }
  };
}

function patternOf(texts: readonly string[]): RegExp {
  const longestFirst = [...new Set(texts)].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
}
