import { createECDH, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Config, ConfigError, readConfig, readDatabaseConfig } from '../../src/config/config.ts';

const secret = 'a secret of rather more than thirty-two bytes';
const least = {
  REDIS_URL: 'redis://127.0.0.1:6379',
  DATABASE_URL: 'postgres://127.0.0.1/rollcall',
  JWT_SECRET: secret,
};

function read(env: NodeJS.ProcessEnv = {}): Config {
  return readConfig({ ...least, ...env });
}

function problems(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function pemOf(
  ...[type, options]: ['rsa', { modulusLength: number }] | ['ec', { namedCurve: string }] | ['ed25519', object]
) {
  const pair =
    type === 'rsa'
      ? generateKeyPairSync('rsa', options)
      : type === 'ec'
        ? generateKeyPairSync('ec', options)
        : generateKeyPairSync('ed25519', {});
  return {
    publicPem: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privatePem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

describe('settings', () => {
  test('the two stores and one key are enough; everything else has its default', () => {
    const { jwt, ...config } = read();
    expect(config).toEqual({
      port: 3000,
      host: '0.0.0.0',
      redisUrls: ['redis://127.0.0.1:6379'],
      redisPrefix: '',
      redisCluster: false,
      redisSentinels: null,
      redisTlsRejectUnauthorized: true,
      databaseUrl: 'postgres://127.0.0.1/rollcall',
      databaseSsl: 'by-url',
      ttlMs: 60_000,
      heartbeatIntervalMs: 30_000,
      heartbeatMinIntervalMs: 5000,
      disconnectGraceMs: 0,
      handoverMs: 15_000,
      audience: 'everyone',
      maxSessionsPerUser: 20,
      maxWatchedUsers: 1000,
      maxLooksPerUserPerDay: 20_000,
      detailOrder: ['call', 'manual', 'calendar'],
      maxRoomsPerSession: 50,
      roomUsersLimit: 1000,
      roomsOpen: [],
      roomsTold: [],
      trustProxy: 0,
      maxConnections: 50_000,
      maxConnectsPerIpPerSecond: 2000,
      maxRequestsPerIpPerSecond: 2000,
      corsOrigins: [],
      adminUser: 'admin',
      adminPassword: null,
      boardWritable: false,
      metricsPort: null,
      socketTransports: ['websocket', 'polling'],
      webConcurrency: 1,
      workerConcurrency: 64,
      timeoutQueues: 1,
      historyRetentionDays: 90,
      alertMinAbsenceMs: 600_000,
      alertStableMs: 15_000,
      alertCooldownMs: 1_800_000,
      pushAllowPrivate: false,
      vapid: null,
      webhooks: [],
      tracing: null,
      logLevel: 'info',
    });
    expect(jwt).toMatchObject({ issuer: null, audience: null, key: { kind: 'fixed', algorithm: 'HS256' } });
  });

  test('an empty value counts as not set', () => {
    expect(read({ PORT: '', HOST: ' ', ADMIN_PASSWORD: '', JWKS_URL: '', AUDIENCE: '' })).toMatchObject({
      port: 3000,
      host: '0.0.0.0',
      adminPassword: null,
      audience: 'everyone',
    });
  });

  test('every problem is told at once', () => {
    const env = { PORT: 'many', LOG_LEVEL: 'loud', AUDIENCE: 'nobody', REDIS_CLUSTER: 'yes', MAX_WATCHED_USERS: '0' };
    expect(problems(env)).toEqual([
      'JWT_SECRET or JWT_PUBLIC_KEY or JWKS_URL is required: the key of the tokens',
      'REDIS_CLUSTER must be true or false, got "yes"',
      'REDIS_URL is required',
      'DATABASE_URL is required',
      'PORT must be a whole number from 0 to 65535, got "many"',
      'AUDIENCE must be everyone or watchers, got "nobody"',
      'MAX_WATCHED_USERS must be a whole number from 1 to 1000000, got "0"',
      'LOG_LEVEL must be fatal or error or warn or info or debug or trace or silent, got "loud"',
    ]);
    expect(() => readConfig(env)).toThrow(/^These settings are wrong:\n {2}- JWT_SECRET or .*\n {2}- REDIS_CLUSTER/);
  });

  test('no secret and no address gets into a message', () => {
    const told = problems({
      REDIS_URL: 'http://:hush-redis@host',
      DATABASE_URL: 'mysql://user:hush-database@host',
      JWT_SECRET: 'hush-short',
      JWT_PUBLIC_KEY: 'hush-key',
      JWKS_URL: 'ftp://hush-jwks',
      VAPID_PRIVATE_KEY: 'hush-vapid',
      WEBHOOK_URL: 'https://:hush-user@host/hush-path',
      WEBHOOK_SECRET: 'hush-hook',
      WEBHOOKS:
        '[{ "name": "x", "url": "ftp://hush-url", "secret": "hush", "types": ["hush"], "users": ["hush!"] }, "hush"]',
    }).join('\n');
    expect(told).toContain('REDIS_URL');
    expect(told).toContain('JWT_SECRET must have at least 32 bytes, got 10');
    expect(told).not.toContain('hush');
  });

  test('a name that was misspelt is pointed out, a stranger in the environment is not', () => {
    expect(problems({ ...least, PRESENCE_TTL_SECOND: '20' })).toEqual([
      'PRESENCE_TTL_SECOND is not a setting; did you mean PRESENCE_TTL_SECONDS?',
    ]);
    const strangers = {
      REDIS_PORT: '1',
      HOSTNAME: 'box',
      REDIS_TLS_URL: 'x',
      HANDOVER_SECONDZ: '1',
      HANDOVER_SECONDS: '2',
    };
    expect(problems({ ...least, ...strangers })).toEqual([]);
  });

  test('a migration needs the database alone', () => {
    expect(readDatabaseConfig({ DATABASE_URL: 'postgresql://h/d', DATABASE_SSL: 'no-verify' })).toEqual({
      databaseUrl: 'postgresql://h/d',
      databaseSsl: 'no-verify',
    });
    expect(() => readDatabaseConfig({})).toThrow('DATABASE_URL is required');
  });
});

describe('times', () => {
  test('fractions of a second are allowed', () => {
    const env = {
      PRESENCE_TTL_SECONDS: '2.5',
      HEARTBEAT_INTERVAL_SECONDS: '0.8',
      HEARTBEAT_MIN_INTERVAL_SECONDS: '0.05',
    };
    expect(read(env)).toMatchObject({ ttlMs: 2500, heartbeatIntervalMs: 800, heartbeatMinIntervalMs: 50 });
  });

  test('the least time between heartbeats is half the interval where that is less than 5 s', () => {
    expect(read({ HEARTBEAT_INTERVAL_SECONDS: '4' }).heartbeatMinIntervalMs).toBe(2000);
    expect(read({ HEARTBEAT_INTERVAL_SECONDS: '12' }).heartbeatMinIntervalMs).toBe(5000);
  });

  test('the TTL must exceed the interval, and the interval the minimum', () => {
    expect(problems({ ...least, PRESENCE_TTL_SECONDS: '20' })).toEqual([
      'PRESENCE_TTL_SECONDS must be greater than HEARTBEAT_INTERVAL_SECONDS (30), got 20',
    ]);
    expect(problems({ ...least, PRESENCE_TTL_SECONDS: '30' })).toHaveLength(1);
    expect(problems({ ...least, PRESENCE_TTL_SECONDS: '30.001' })).toEqual([]);
    expect(problems({ ...least, HEARTBEAT_MIN_INTERVAL_SECONDS: '30' })).toEqual([
      'HEARTBEAT_INTERVAL_SECONDS must be greater than HEARTBEAT_MIN_INTERVAL_SECONDS (30), got 30',
    ]);
  });

  test('a time that is no number is told once, and not compared with others', () => {
    expect(problems({ ...least, PRESENCE_TTL_SECONDS: '1e3', HEARTBEAT_INTERVAL_SECONDS: '90' })).toEqual([
      'PRESENCE_TTL_SECONDS must be a number of seconds, greater than 0 and at most 2147483, got "1e3"',
    ]);
    expect(problems({ ...least, DISCONNECT_GRACE_SECONDS: '-1' })).toHaveLength(1);
  });

  test('a grace above the TTL is refused, a handover above it is taken as the TTL', () => {
    expect(problems({ ...least, DISCONNECT_GRACE_SECONDS: '61' })).toEqual([
      'DISCONNECT_GRACE_SECONDS must not be above PRESENCE_TTL_SECONDS (60), got 61',
    ]);
    expect(read({ DISCONNECT_GRACE_SECONDS: '60', HANDOVER_SECONDS: '600' })).toMatchObject({
      disconnectGraceMs: 60_000,
      handoverMs: 60_000,
    });
  });
});

describe('the key of the tokens', () => {
  const { JWT_SECRET: _, ...withoutKey } = least;

  test('two at once are refused', () => {
    expect(problems({ ...least, JWKS_URL: 'https://id.example.com/keys' })).toEqual([
      'Only one key may be set, got JWT_SECRET and JWKS_URL',
    ]);
  });

  test('a secret is counted in bytes, not in letters', () => {
    expect(problems({ ...withoutKey, JWT_SECRET: 'é'.repeat(16) })).toEqual([]);
    expect(problems({ ...withoutKey, JWT_SECRET: 'e'.repeat(31) })).toHaveLength(1);
  });

  test.each([
    ['RS256', pemOf('rsa', { modulusLength: 2048 })],
    ['ES256', pemOf('ec', { namedCurve: 'P-256' })],
    ['EdDSA', pemOf('ed25519', {})],
  ])('a PEM decides on %s by itself, with real line breaks or written ones', (algorithm, { publicPem, privatePem }) => {
    for (const pem of [publicPem, publicPem.replaceAll('\n', '\\n')]) {
      expect(readConfig({ ...withoutKey, JWT_PUBLIC_KEY: pem }).jwt.key).toMatchObject({ kind: 'fixed', algorithm });
    }
    expect(problems({ ...withoutKey, JWT_PUBLIC_KEY: privatePem })).toEqual([
      'JWT_PUBLIC_KEY holds a private key; only the public one belongs here',
    ]);
  });

  test('a key that no accepted algorithm fits is refused', () => {
    for (const { publicPem } of [pemOf('rsa', { modulusLength: 1024 }), pemOf('ec', { namedCurve: 'P-384' })]) {
      expect(problems({ ...withoutKey, JWT_PUBLIC_KEY: publicPem })).toHaveLength(1);
    }
    expect(problems({ ...withoutKey, JWT_PUBLIC_KEY: 'nonsense' })).toEqual([
      'JWT_PUBLIC_KEY is not a public key in PEM form (line breaks may be written as \\n)',
    ]);
  });

  test('an address of keys may hold a user and a password, if they can be sent', () => {
    const JWKS_URL = 'https://a%40b:p%25%3A@id.example.com/keys';
    expect(readConfig({ ...withoutKey, JWKS_URL }).jwt.key).toEqual({ kind: 'jwks', url: JWKS_URL });
    for (const address of ['https://hush%:p@x.example', 'https://u:hush%zz@x.example', 'https://u:hush%ff@x.example']) {
      expect(problems({ ...withoutKey, JWKS_URL: address })).toEqual([
        'JWKS_URL has a % in its user or password that is not part of an encoding: write it as %25',
      ]);
    }
    expect(problems({ ...withoutKey, JWKS_URL: 'https://hush%3Ax:p@x.example' })).toEqual([
      'JWKS_URL may not have a colon in its user, for HTTP Basic ends the user there',
    ]);
  });

  test('printing the settings shows no key', () => {
    expect(JSON.stringify(read().jwt)).not.toContain(secret);
  });
});

describe('stores, doors and transports', () => {
  test('a cluster is listed by commas, its nodes share scheme and password', () => {
    const REDIS_URL = 'rediss://:pw@a:6379, b:6379,redis://c:1';
    expect(read({ REDIS_URL, REDIS_CLUSTER: 'true' }).redisUrls).toEqual([
      'rediss://:pw@a:6379',
      'rediss://:pw@b:6379',
      'redis://c:1',
    ]);
    expect(problems({ ...least, REDIS_URL })).toEqual([
      'REDIS_URL may list several nodes only with REDIS_CLUSTER=true',
    ]);
  });

  test('what has to be written by its code in an address is told by the name of the setting, and the password is not', () => {
    const bare = 'has a % in its user or password that is not part of an encoding: write it as %25';
    for (const REDIS_URL of ['redis://:pa%ss@h:1', 'redis://u%:p@h', 'rediss://:pa%zz@h/0']) {
      expect(problems({ ...least, REDIS_URL })).toEqual([`REDIS_URL ${bare}`]);
    }
    for (const REDIS_CLUSTER of ['true', 'false']) {
      expect(problems({ ...least, REDIS_CLUSTER, REDIS_URL: 'redis://:pa,ss@h:1' })).toEqual([
        'REDIS_URL holds a comma in its name or password, where it is written %2C',
      ]);
    }
    expect(problems({ ...least, DATABASE_URL: 'postgres://u:p%q@h/d' })).toEqual([`DATABASE_URL ${bare}`]);
    expect(read({ REDIS_URL: 'redis://:pa%25%2Css@h:1' }).redisUrls).toEqual(['redis://:pa%25%2Css@h:1']);
  });

  test('Sentinels are listed by commas, as names or addresses, with or without a port', () => {
    const REDIS_SENTINELS = 'one.example:26380, 10.0.0.2 ,[::1]:26381,[fd00::7]';
    const settings = {
      REDIS_SENTINELS,
      REDIS_SENTINEL_MASTER: ' mymaster ',
      REDIS_SENTINEL_PASSWORD: 'of, the sentinels',
    };
    expect(read(settings).redisSentinels).toEqual({
      nodes: [
        { host: 'one.example', port: 26_380 },
        { host: '10.0.0.2', port: 26_379 },
        { host: '::1', port: 26_381 },
        { host: 'fd00::7', port: 26_379 },
      ],
      master: 'mymaster',
      password: 'of, the sentinels',
    });
  });

  test('Sentinels that cannot be asked are bad settings, named without what may be a password', () => {
    const master = { REDIS_SENTINEL_MASTER: 'mymaster' };
    const shape =
      'REDIS_SENTINELS must list the Sentinels as host:port by commas, without a scheme or a password; an IPv6 address stands in brackets, [::1]:26379';
    for (const entry of [
      'redis://h:1',
      ':pw@h:1',
      'h:0',
      'h:65536',
      'h:port',
      '::1:26379',
      '[h]:1',
      '[]',
      ':1',
      'a b:1',
    ]) {
      expect(problems({ ...least, ...master, REDIS_SENTINELS: `fine:1,${entry}` }), entry).toEqual([shape]);
    }
    expect(problems({ ...least, REDIS_SENTINELS: 'h:1' })).toEqual([
      'REDIS_SENTINEL_MASTER is required where REDIS_SENTINELS is set: what they call the Redis they watch',
    ]);
    expect(problems({ ...least, ...master, REDIS_SENTINELS: 'h:1', REDIS_CLUSTER: 'true' })).toEqual([
      'REDIS_SENTINELS does not go with REDIS_CLUSTER=true: a cluster has no Sentinels',
    ]);
    for (const alone of [master, { REDIS_SENTINEL_PASSWORD: 'hush hush' }]) {
      expect(problems({ ...least, ...alone })).toEqual([
        'REDIS_SENTINELS is required where REDIS_SENTINEL_MASTER or REDIS_SENTINEL_PASSWORD is set',
      ]);
    }
    expect(problems({ ...least, REDIS_SENTINEL: 'h:1' })).toEqual([
      'REDIS_SENTINEL is not a setting; did you mean REDIS_SENTINELS?',
    ]);
  });

  test('a prefix may not move the hash tag', () => {
    expect(read({ REDIS_PREFIX: 'app:' }).redisPrefix).toBe('app:');
    expect(problems({ ...least, REDIS_PREFIX: '{app}' })).toHaveLength(1);
  });

  test('DATABASE_SSL says whether to encrypt and whether to check', () => {
    expect(read({ DATABASE_SSL: 'true' }).databaseSsl).toBe('verify');
    expect(read({ DATABASE_SSL: 'no-verify' }).databaseSsl).toBe('no-verify');
    expect(read({ DATABASE_SSL: 'false' }).databaseSsl).toBe('off');
    expect(problems({ ...least, DATABASE_SSL: 'maybe' })).toHaveLength(1);
  });

  test('several web processes speak websocket alone', () => {
    expect(read({ WEB_CONCURRENCY: '2' }).socketTransports).toEqual(['websocket']);
    expect(read({ SOCKET_TRANSPORTS: 'polling' }).socketTransports).toEqual(['polling']);
    expect(problems({ ...least, WEB_CONCURRENCY: '2', SOCKET_TRANSPORTS: 'websocket,polling' })).toEqual([
      'SOCKET_TRANSPORTS must be websocket alone with WEB_CONCURRENCY above 1 (2)',
    ]);
    expect(problems({ ...least, SOCKET_TRANSPORTS: 'carrier-pigeon' })).toHaveLength(1);
  });

  test('history is kept for whole days, one at least', () => {
    expect(read({ HISTORY_RETENTION_DAYS: '365' }).historyRetentionDays).toBe(365);
    for (const days of ['0', '1.5', '36501', 'ever']) {
      expect(problems({ ...least, HISTORY_RETENTION_DAYS: days })).toEqual([
        `HISTORY_RETENTION_DAYS must be a whole number from 1 to 36500, got "${days}"`,
      ]);
    }
  });

  test('any free port may be asked for', () => {
    expect(read({ PORT: '0' }).port).toBe(0);
    expect(problems({ ...least, PORT: '65536' })).toHaveLength(1);
  });

  test('origins are what browsers send', () => {
    expect(read({ CORS_ORIGINS: 'https://a.example, http://localhost:5173/,*' }).corsOrigins).toEqual([
      'https://a.example',
      'http://localhost:5173',
      '*',
    ]);
    const shells = [
      'capacitor://localhost',
      'ionic://localhost',
      'tauri://localhost',
      'app://-',
      'chrome-extension://abc',
      'null',
    ];
    expect(read({ CORS_ORIGINS: shells.join() }).corsOrigins).toEqual(shells);
    expect(read({ CORS_ORIGINS: 'https://*.Example.com:443,App://x/' }).corsOrigins).toEqual([
      'https://*.example.com',
      'app://x',
    ]);
  });

  test.each([
    'a.example',
    'https://a.example/path',
    'https://a.example?x',
    'https://*',
    'https://*.*.example.com',
    'https://a*.example.com',
    'https://a.*.com',
    'app://*.x',
    'wss://a.example',
    'https://user@a.example',
    'capacitor://',
    'javascript:alert(1)',
    'NULL',
  ])('%s names no origin, and what does is said', (entry) => {
    expect(problems({ ...least, CORS_ORIGINS: entry })).toEqual([
      expect.stringMatching(/^CORS_ORIGINS must list origins such as https:.*capacitor:.*null or \*, got /),
    ]);
  });

  test('proxies are believed by their number, or all, or none', () => {
    expect(['true', 'false', '0', '2', ' '].map((TRUST_PROXY) => read({ TRUST_PROXY }).trustProxy)).toEqual([
      true,
      0,
      0,
      2,
      0,
    ]);
    expect(problems({ ...least, TRUST_PROXY: '10.0.0.1', MAX_CONNECTS_PER_IP_PER_SECOND: '0' })).toEqual([
      'TRUST_PROXY must be true, false or a number of proxies, got "10.0.0.1"',
      'MAX_CONNECTS_PER_IP_PER_SECOND must be a whole number from 1 to 1000000, got "0"',
    ]);
  });

  test('push needs all three of its settings', () => {
    const pair = createECDH('prime256v1');
    pair.generateKeys();
    const other = createECDH('prime256v1');
    other.generateKeys();
    const vapid = {
      VAPID_PUBLIC_KEY: pair.getPublicKey().toString('base64url'),
      VAPID_PRIVATE_KEY: pair.getPrivateKey().toString('base64url'),
      VAPID_SUBJECT: 'mailto:ops@example.com',
    };
    expect(read(vapid).vapid).toEqual({
      publicKey: vapid.VAPID_PUBLIC_KEY,
      privateKey: vapid.VAPID_PRIVATE_KEY,
      subject: 'mailto:ops@example.com',
    });
    expect(read({ ...vapid, VAPID_PUBLIC_KEY: `${vapid.VAPID_PUBLIC_KEY}=` }).vapid).toEqual(read(vapid).vapid);
    expect(read({ ...vapid, VAPID_SUBJECT: 'https://example.com/contact' }).vapid).not.toBeNull();
    expect(problems({ ...least, ...vapid, VAPID_SUBJECT: '' })).toEqual([
      'VAPID_SUBJECT is required where any of the VAPID settings is set',
    ]);
    for (const VAPID_SUBJECT of ['ops@example.com', 'http://example.com', 'mailto:ops', 'https://']) {
      expect(problems({ ...least, ...vapid, VAPID_SUBJECT })).toEqual([
        'VAPID_SUBJECT must begin with mailto: or https://',
      ]);
    }
    expect(problems({ ...least, VAPID_SUBJECT: vapid.VAPID_SUBJECT })).toHaveLength(2);
    expect(problems({ ...least, ...vapid, VAPID_PUBLIC_KEY: 'short' })).toHaveLength(1);
    expect(problems({ ...least, ...vapid, VAPID_PUBLIC_KEY: other.getPublicKey().toString('base64url') })).toEqual([
      'VAPID_PRIVATE_KEY does not belong to VAPID_PUBLIC_KEY',
    ]);
    expect(problems({ ...least, ...vapid, VAPID_PRIVATE_KEY: Buffer.alloc(32).toString('base64url') })).toHaveLength(1);
  });

  test('webhooks need an address that can be trusted and a secret', () => {
    const hook = { WEBHOOK_URL: 'https://app.example.com/hooks/presence?team=1', WEBHOOK_SECRET: secret };
    expect(read(hook).webhooks).toEqual([
      {
        name: 'default',
        url: hook.WEBHOOK_URL,
        secrets: [secret],
        types: ['status', 'rooms'],
        users: null,
        rooms: null,
      },
    ]);
    for (const host of ['127.0.0.1:8080', 'localhost', '[::1]', '10.1.2.3', 'app:8080', 'app.shop.svc', 'app.local']) {
      expect(read({ ...hook, WEBHOOK_URL: `http://${host}/hook` }).webhooks).toHaveLength(1);
    }
    const refused: [string, string][] = [
      ['app.example.com/hook', 'must be an address that begins with https:// or http://'],
      ['ftp://app.example.com', 'must be an address that begins with https:// or http://'],
      ['http://app.example.com/hook', 'must begin with https:// unless it leads into a private network'],
      ['http://8.8.8.8/hook', 'must begin with https:// unless it leads into a private network'],
      ['https://me:word@app.example.com', 'may not hold a user or a password: WEBHOOK_SECRET proves who calls'],
      ['https://app.example.com/#hook', 'may not have a part behind #'],
    ];
    for (const [WEBHOOK_URL, sentence] of refused) {
      expect(problems({ ...least, ...hook, WEBHOOK_URL })).toEqual([`WEBHOOK_URL ${sentence}`]);
    }
    expect(problems({ ...least, WEBHOOK_URL: hook.WEBHOOK_URL })).toEqual([
      'WEBHOOK_SECRET is required where WEBHOOK_URL is set',
    ]);
    expect(problems({ ...least, WEBHOOK_SECRET: secret })).toEqual([
      'WEBHOOK_URL is required where WEBHOOK_SECRET is set',
    ]);
    expect(problems({ ...least, ...hook, WEBHOOK_SECRET: 'ä'.repeat(15) })).toEqual([
      'WEBHOOK_SECRET must have at least 32 bytes, got 30',
    ]);
  });

  test('of several webhooks each has a name, and says which part of the changes it is to be told', () => {
    const url = 'https://app.example.com/hooks';
    const standard = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
    const entries = [
      { name: 'billing', url, secret },
      { name: 'crm-2', url: 'http://crm:8080/', secret: [standard, secret], types: ['status'], users: ['acme:', 'b'] },
      { name: 'docs', url, secret, types: ['rooms'], rooms: ['doc:'] },
    ];
    const hook = { WEBHOOK_URL: url, WEBHOOK_SECRET: secret, WEBHOOKS: JSON.stringify(entries) };
    expect(read(hook).webhooks).toEqual([
      { name: 'default', url, secrets: [secret], types: ['status', 'rooms'], users: null, rooms: null },
      { name: 'billing', url, secrets: [secret], types: ['status', 'rooms'], users: null, rooms: null },
      {
        name: 'crm-2',
        url: 'http://crm:8080/',
        secrets: [standard, secret],
        types: ['status'],
        users: ['acme:', 'b'],
        rooms: null,
      },
      { name: 'docs', url, secrets: [secret], types: ['rooms'], users: null, rooms: ['doc:'] },
    ]);
    const good = { name: 'billing', url, secret };
    const refused: [unknown, string][] = [
      ['billing', 'must be a list in JSON, such as [{ "name": "billing", "url": "https://…", "secret": "…" }]'],
      [good, 'must be a list in JSON, such as [{ "name": "billing", "url": "https://…", "secret": "…" }]'],
      [['x'], '(number 1): must be an object, such as [{ "name": "billing", "url": "https://…", "secret": "…" }]'],
      [
        [{ ...good, name: 'Billing' }],
        '(number 1): name must be of small letters, digits, _ and -, and have at most 32 of them',
      ],
      [[{ ...good, name: 'default' }], '(default): name may not be default, which is that of WEBHOOK_URL'],
      [[good, good], '(billing): another one has this name already'],
      [[{ ...good, url: 'app.example.com' }], '(billing): url must be an address that begins with https:// or http://'],
      [
        [{ ...good, url: 'https://me:word@a.b' }],
        '(billing): url may not hold a user or a password: secret proves who calls',
      ],
      [
        [{ ...good, url: 'http://8.8.8.8' }],
        '(billing): url must begin with https:// unless it leads into a private network',
      ],
      [[{ ...good, secret: [] }], '(billing): secret must be a text, or a list of one to 8 texts while it is rotated'],
      [
        [{ ...good, secret: [secret, 1] }],
        '(billing): secret must be a text, or a list of one to 8 texts while it is rotated',
      ],
      [[{ ...good, secret: [secret, 'short'] }], '(billing): secret must have at least 32 bytes, got 5'],
      [
        [{ ...good, secret: `whsec_${'!'.repeat(32)}` }],
        '(billing): secret begins with whsec_, so that base64 must follow',
      ],
      [[{ ...good, types: ['typing'] }], '(billing): types must be a list of one or more of: status, rooms'],
      [[{ ...good, users: 'acme:' }], '(billing): users must be a list of beginnings of user ids, such as ["acme:"]'],
      [[{ ...good, users: ['a b'] }], '(billing): users must be a list of beginnings of user ids, such as ["acme:"]'],
      [[{ ...good, secrets: [secret] }], '(billing): "secrets" is none of name, url, secret, types, users, rooms'],
      [[{ ...good, rooms: [] }], '(billing): rooms must be a list of beginnings of ids of rooms, such as ["doc:"]'],
      [Array.from({ length: 33 }, (_, n) => ({ ...good, name: `hook-${n}` })), 'may list at most 32, got 33'],
    ];
    for (const [given, sentence] of refused) {
      const WEBHOOKS = typeof given === 'string' ? given : JSON.stringify(given);
      expect(problems({ ...least, WEBHOOKS })[0]).toBe(`WEBHOOKS ${sentence}`);
    }
  });

  test('traces need a collector, and settings that an exporter would silently pass over are told', () => {
    const collector = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
    expect(read(collector).tracing).toEqual({
      endpoint: 'http://collector:4318',
      headers: null,
      protocol: 'http/protobuf',
      serviceName: null,
      sampler: 'parentbased_traceidratio',
      ratio: 0.1,
    });
    const wrong: [string, string, string][] = [
      ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc', 'must be http/protobuf or http/json, got "grpc"'],
      ['OTEL_EXPORTER_OTLP_HEADERS', 'a-secret-alone', 'must be a list such as api-key=abc,tenant=one'],
      ['OTEL_TRACES_SAMPLER_ARG', '1.5', 'must be a number from 0 to 1, got "1.5"'],
      ['OTEL_TRACES_SAMPLER', 'some', 'must be parentbased_traceidratio or parentbased_always_on or '],
    ];
    for (const [name, value, sentence] of wrong) {
      expect(problems({ ...least, ...collector, [name]: value })).toEqual([
        expect.stringContaining(`${name} ${sentence}`),
      ]);
      // Where nothing is traced they are others' affair.
      expect(read({ [name]: value }).tracing).toBeNull();
    }
    expect(problems({ ...least, OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' })).toEqual([
      'OTEL_EXPORTER_OTLP_ENDPOINT must be an address that begins with http:// or https://',
    ]);
    const given = { OTEL_TRACES_SAMPLER: 'ALWAYS_ON', OTEL_TRACES_SAMPLER_ARG: '.25', OTEL_SERVICE_NAME: 'presence' };
    const headers = { OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a=b, tenant=one', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' };
    expect(read({ ...collector, ...given, ...headers }).tracing).toEqual({
      endpoint: 'http://collector:4318',
      headers: 'api-key=a=b, tenant=one',
      protocol: 'http/json',
      serviceName: 'presence',
      sampler: 'always_on',
      ratio: 0.25,
    });
  });
});
