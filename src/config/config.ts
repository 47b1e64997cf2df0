import { createECDH } from 'node:crypto';
import { DEFAULT_DETAIL_ORDER, isValidSource } from '../protocol/detail.ts';
import { readOrigin } from './allowed-origins.ts';
import { Environment, quote } from './environment.ts';
import { type JwtKey, readJwtKey } from './jwt-key.ts';
import { type RedisConfig, readRedis } from './redis-settings.ts';
import { readTracing, type TracingSettings } from './tracing-settings.ts';
import { readWebhooks, type WebhookSettings } from './webhook-settings.ts';

/** How the database is reached; `by-url`: as the `sslmode` of the address says, in the clear without one. */
export type DatabaseSsl = 'by-url' | 'off' | 'verify' | 'no-verify';

export interface JwtConfig {
  key: JwtKey;
  issuer: string | null;
  audience: string | null;
}

export type Transport = 'websocket' | 'polling';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Every setting, checked. Names in `…Ms` are milliseconds. */
export interface Config extends RedisConfig {
  /** 0: any free port. */
  port: number;
  host: string;
  databaseUrl: string;
  databaseSsl: DatabaseSsl;
  jwt: JwtConfig;
  ttlMs: number;
  heartbeatIntervalMs: number;
  heartbeatMinIntervalMs: number;
  disconnectGraceMs: number;
  /** Never above the TTL. */
  handoverMs: number;
  audience: 'everyone' | 'watchers';
  maxSessionsPerUser: number;
  maxWatchedUsers: number;
  /** Different users whom one may ask for by name on a day (UTC); 0: any number. */
  maxLooksPerUserPerDay: number;
  maxRoomsPerSession: number;
  /** Above so many users a room is told as a count. */
  roomUsersLimit: number;
  /** What the ids of rooms begin with that everybody may join and watch, whatever their token names. */
  roomsOpen: string[];
  /** What the ids of rooms begin with of which backends are told when they become occupied or vacated. */
  roomsTold: string[];
  /** How many proxies in front are believed about the address of a client; true: all of them. */
  trustProxy: number | true;
  /** Open connections of one web process, HTTP and sockets together. */
  maxConnections: number;
  maxConnectsPerIpPerSecond: number;
  maxRequestsPerIpPerSecond: number;
  /** Origins as browsers send them, or `*`. */
  corsOrigins: string[];
  adminUser: string;
  /** null: nothing of the operator's is served. */
  adminPassword: string | null;
  /** Whether the board may change queues and jobs. */
  boardWritable: boolean;
  /** Where a worker serves its metrics; null: nowhere. */
  metricsPort: number | null;
  socketTransports: Transport[];
  webConcurrency: number;
  workerConcurrency: number;
  /** Over how many queues the timeout jobs are spread. */
  timeoutQueues: number;
  /** How long transitions stay in PostgreSQL. */
  historyRetentionDays: number;
  /** Which source of a detail is the strongest, the first, and so on. */
  detailOrder: readonly string[];
  alertMinAbsenceMs: number;
  alertStableMs: number;
  alertCooldownMs: number;
  /** Push services in private networks, and without TLS. */
  pushAllowPrivate: boolean;
  /** null: push is off. */
  vapid: { publicKey: string; privateKey: string; subject: string } | null;
  /** Whom the change feed is posted to; none where it is empty. */
  webhooks: readonly WebhookSettings[];
  /** null: nothing is traced. */
  tracing: TracingSettings | null;
  logLevel: LogLevel;
}

/** Thrown where settings are wrong; its message lists everything that is, a line each. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`These settings are wrong:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** Reads and checks all settings; throws one ConfigError that lists everything that is wrong. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const from = new Environment(env);
  const key = readJwtKey(from);
  const redis = readRedis(from);
  const database = readDatabase(from);
  const webConcurrency = from.integer('WEB_CONCURRENCY', 1, { min: 1, max: 1024 });
  const rest = {
    port: from.integer('PORT', 3000, { min: 0, max: 65_535 }),
    host: from.text('HOST') ?? '0.0.0.0',
    ...readTimes(from),
    audience: from.choice('AUDIENCE', ['everyone', 'watchers'], 'everyone'),
    maxSessionsPerUser: from.integer('MAX_SESSIONS_PER_USER', 20, { min: 1, max: 100_000 }),
    maxWatchedUsers: from.integer('MAX_WATCHED_USERS', 1000, { min: 1, max: 1_000_000 }),
    maxLooksPerUserPerDay: from.integer('MAX_LOOKS_PER_USER_PER_DAY', 20_000, { min: 0, max: 500_000 }),
    maxRoomsPerSession: from.integer('MAX_ROOMS_PER_SESSION', 50, { min: 1, max: 200 }),
    roomUsersLimit: from.integer('ROOM_USERS_LIMIT', 1000, { min: 1, max: 100_000 }),
    roomsOpen: readRoomPrefixes(from, 'ROOMS_OPEN'),
    roomsTold: readRoomPrefixes(from, 'ROOMS_TOLD'),
    trustProxy: readTrustProxy(from),
    maxConnections: from.integer('MAX_CONNECTIONS', 50_000, { min: 1, max: 10_000_000 }),
    maxConnectsPerIpPerSecond: from.integer('MAX_CONNECTS_PER_IP_PER_SECOND', 2000, { min: 1, max: 1_000_000 }),
    maxRequestsPerIpPerSecond: from.integer('MAX_REQUESTS_PER_IP_PER_SECOND', 2000, { min: 1, max: 1_000_000 }),
    corsOrigins: readOrigins(from),
    adminUser: readAdminUser(from),
    adminPassword: from.secret('ADMIN_PASSWORD') ?? null,
    boardWritable: from.flag('BOARD_WRITABLE', false),
    metricsPort:
      from.text('METRICS_PORT') === undefined ? null : from.integer('METRICS_PORT', 0, { min: 0, max: 65_535 }),
    webConcurrency,
    socketTransports: readTransports(from, webConcurrency),
    workerConcurrency: from.integer('WORKER_CONCURRENCY', DEFAULT_WORKER_CONCURRENCY, { min: 1, max: 10_000 }),
    timeoutQueues: from.integer('TIMEOUT_QUEUES', 1, { min: 1, max: 16 }),
    historyRetentionDays: from.integer('HISTORY_RETENTION_DAYS', 90, { min: 1, max: 36_500 }),
    detailOrder: readDetailOrder(from),
    alertMinAbsenceMs: from.seconds('ALERT_MIN_ABSENCE_SECONDS', 600_000, { zero: true }),
    alertStableMs: from.seconds('ALERT_STABLE_SECONDS', 15_000, { zero: true }),
    alertCooldownMs: from.seconds('ALERT_COOLDOWN_SECONDS', 1_800_000, { zero: true }),
    pushAllowPrivate: from.flag('PUSH_ALLOW_PRIVATE', false),
    vapid: readVapid(from),
    webhooks: readWebhooks(from),
    tracing: readTracing(from),
    logLevel: from.choice('LOG_LEVEL', LOG_LEVELS, 'info'),
  };
  const names = { issuer: from.text('JWT_ISSUER') ?? null, audience: from.text('JWT_AUDIENCE') ?? null };
  from.findMisspelt();
  if (from.problems.length > 0 || !key || !redis || !database) throw new ConfigError(from.problems);
  return { ...rest, ...redis, ...database, jwt: { key, ...names } };
}

/** Reads what a migration needs and no more, so that it runs where nothing else is set. Throws ConfigError. */
export function readDatabaseConfig(env: NodeJS.ProcessEnv = process.env): Pick<Config, 'databaseUrl' | 'databaseSsl'> {
  const from = new Environment(env);
  const database = readDatabase(from);
  if (from.problems.length > 0 || !database) throw new ConfigError(from.problems);
  return database;
}

/** Jobs wait for the stores most of the time, so one worker process keeps many in flight. */
const DEFAULT_WORKER_CONCURRENCY = 64;

function readDatabase(from: Environment): Pick<Config, 'databaseUrl' | 'databaseSsl'> | undefined {
  const databaseUrl = from.url('DATABASE_URL', ['postgres:', 'postgresql:']);
  if (databaseUrl === undefined && from.sound('DATABASE_URL')) from.problem('DATABASE_URL', 'is required');
  const ssl = from.choice('DATABASE_SSL', ['true', 'no-verify', 'false', 'by-url'], 'by-url');
  const databaseSsl = ssl === 'true' ? 'verify' : ssl === 'false' ? 'off' : ssl;
  return databaseUrl === undefined ? undefined : { databaseUrl, databaseSsl };
}

/** All windows of presence come from here and are compared here: equal ones would make users flicker. */
function readTimes(from: Environment) {
  const [ttl, interval, minimum] = [
    'PRESENCE_TTL_SECONDS',
    'HEARTBEAT_INTERVAL_SECONDS',
    'HEARTBEAT_MIN_INTERVAL_SECONDS',
  ] as const;
  const ttlMs = from.seconds(ttl, 60_000, { zero: false });
  const heartbeatIntervalMs = from.seconds(interval, 30_000, { zero: false });
  const halfIntervalMs = Math.floor(heartbeatIntervalMs / 2);
  const heartbeatMinIntervalMs = from.seconds(minimum, Math.min(5000, halfIntervalMs), { zero: true });
  const disconnectGraceMs = from.seconds('DISCONNECT_GRACE_SECONDS', 0, { zero: true });
  const handoverMs = from.seconds('HANDOVER_SECONDS', 15_000, { zero: true });
  const compare = (name: string, ms: number, fails: boolean, relation: string, other: string, otherMs: number) => {
    if (!fails || !from.sound(name, other)) return;
    from.problem(name, `must ${relation} ${other} (${otherMs / 1000}), got ${ms / 1000}`);
  };
  compare(ttl, ttlMs, ttlMs <= heartbeatIntervalMs, 'be greater than', interval, heartbeatIntervalMs);
  const tooClose = heartbeatIntervalMs <= heartbeatMinIntervalMs;
  compare(interval, heartbeatIntervalMs, tooClose, 'be greater than', minimum, heartbeatMinIntervalMs);
  compare('DISCONNECT_GRACE_SECONDS', disconnectGraceMs, disconnectGraceMs > ttlMs, 'not be above', ttl, ttlMs);
  return {
    ttlMs,
    heartbeatIntervalMs,
    heartbeatMinIntervalMs,
    disconnectGraceMs,
    handoverMs: Math.min(handoverMs, ttlMs),
  };
}

/** Long polling needs every request of a client to reach the same process, which nothing sees to among several. */
function readTransports(from: Environment, webConcurrency: number): Transport[] {
  const given = from.list('SOCKET_TRANSPORTS').map((name) => name.toLowerCase());
  if (given.length === 0) return webConcurrency > 1 ? ['websocket'] : ['websocket', 'polling'];
  const known = given.filter((name) => name === 'websocket' || name === 'polling');
  if (known.length < given.length) {
    from.problem('SOCKET_TRANSPORTS', `must be websocket or polling or both, got ${quote(given.join(','))}`);
  } else if (known.includes('polling') && webConcurrency > 1) {
    from.problem('SOCKET_TRANSPORTS', `must be websocket alone with WEB_CONCURRENCY above 1 (${webConcurrency})`);
  }
  return [...new Set(known)];
}

/** `false` is written for 0 by those who know the setting from elsewhere. */
function readTrustProxy(from: Environment): Config['trustProxy'] {
  const value = from.text('TRUST_PROXY')?.toLowerCase() ?? 'false';
  if (value === 'true') return true;
  if (value === 'false') return 0;
  if (/^\d{1,2}$/.test(value)) return Number(value);
  from.problem('TRUST_PROXY', `must be true, false or a number of proxies, got ${quote(value)}`);
  return 0;
}

/** Written with a `*` at their end, as in tokens, they mean the same; `*` alone is every room. */
function readRoomPrefixes(from: Environment, name: string): string[] {
  return from.list(name).map((entry) => {
    const prefix = entry.endsWith('*') ? entry.slice(0, -1) : entry;
    if (/^[A-Za-z0-9._\-@|+:~]{0,128}$/.test(prefix)) return prefix;
    from.problem(name, `must list what ids of rooms begin with, such as page: or doc:42, got ${quote(entry)}`);
    return prefix;
  });
}

function readOrigins(from: Environment): string[] {
  return from.list('CORS_ORIGINS').map((entry) => {
    const origin = readOrigin(entry);
    if (origin !== null) return origin;
    const examples = 'https://example.com, https://*.example.com (one level), capacitor://localhost, null or *';
    from.problem('CORS_ORIGINS', `must list origins such as ${examples}, got ${quote(entry)}`);
    return entry;
  });
}

function readDetailOrder(from: Environment): readonly string[] {
  const given = from.list('DETAIL_ORDER');
  const wrong = given.find((source) => !isValidSource(source));
  if (wrong !== undefined)
    from.problem('DETAIL_ORDER', `must list sources such as call,manual,calendar, got ${quote(wrong)}`);
  else if (new Set(given).size < given.length) from.problem('DETAIL_ORDER', 'names a source twice');
  return given.length > 0 ? given : DEFAULT_DETAIL_ORDER;
}

function readAdminUser(from: Environment): string {
  const user = from.text('ADMIN_USER') ?? 'admin';
  if (user.includes(':')) from.problem('ADMIN_USER', 'may not contain a colon');
  return user;
}

function readVapid(from: Environment): Config['vapid'] {
  const publicKey = from.text('VAPID_PUBLIC_KEY');
  const privateKey = from.text('VAPID_PRIVATE_KEY');
  const subject = from.text('VAPID_SUBJECT');
  if (publicKey === undefined && privateKey === undefined && subject === undefined) return null;
  const expect = (name: string, value: string | undefined, fits: (text: string) => boolean, shape: string) => {
    if (value === undefined) from.problem(name, 'is required where any of the VAPID settings is set');
    else if (!fits(value)) from.problem(name, shape);
  };
  const holds = (bytes: number) => (text: string) =>
    /^[\w-]+=*$/.test(text) && Buffer.from(text, 'base64url').length === bytes;
  expect('VAPID_PUBLIC_KEY', publicKey, holds(65), 'must be 65 bytes in base64url');
  expect('VAPID_PRIVATE_KEY', privateKey, holds(32), 'must be 32 bytes in base64url');
  expect(
    'VAPID_SUBJECT',
    subject,
    (text) => /^(mailto:[^\s@]+@[^\s@]|https:\/\/.)/.test(text) && URL.canParse(text),
    'must begin with mailto: or https://',
  );
  const [ours, theirs] = [privateKey, publicKey].map((key) => Buffer.from(key ?? '', 'base64url'));
  if (ours && theirs && from.sound('VAPID_PUBLIC_KEY', 'VAPID_PRIVATE_KEY') && !isKeyPair(ours, theirs)) {
    from.problem('VAPID_PRIVATE_KEY', 'does not belong to VAPID_PUBLIC_KEY');
  }
  // Padding is allowed here and not by those who use the keys.
  const bare = (key = '') => key.replaceAll('=', '');
  return { publicKey: bare(publicKey), privateKey: bare(privateKey), subject: subject ?? '' };
}

function isKeyPair(privateKey: Buffer, publicKey: Buffer): boolean {
  const pair = createECDH('prime256v1');
  try {
    pair.setPrivateKey(privateKey);
  } catch {
    return false;
  }
  return pair.getPublicKey().equals(publicKey);
}
