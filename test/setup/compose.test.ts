import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { provideRedisProgram } from '../../scripts/embedded/redis-program.ts';
import { serverProcess } from '../../scripts/embedded/server-process.ts';
import { readConfig } from '../../src/config/config.ts';
import { copiedIntoImage, entriesOf, procfile } from '../support/deploying.ts';

/** Resolves once something takes connections at the port. */
const listens = (port: number) =>
  new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });

interface ComposeService {
  image?: string;
  command?: string[];
  ports?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  user?: string;
  depends_on?: Record<string, { condition: string }>;
}

let services: Record<string, ComposeService>;
let volumes: string[];
beforeAll(async () => {
  const compose = parse(await readFile('docker-compose.yml', 'utf8'), { merge: true });
  services = compose.services;
  volumes = Object.keys(compose.volumes);
});

/** The folders of a service's volumes, by the volumes' names. */
const mountsOf = (name: string) =>
  new Map(
    (services[name]?.volumes ?? [])
      .map((volume) => volume.split(':') as [string, string, string?])
      .map(([from, to, mode]) => [from, { to, mode }]),
  );

describe('compose', () => {
  test('starts the processes of the Procfile, each after the migration, on a Redis that forgets nothing', async () => {
    const { migrate, web, worker, redis, ...others } = services;
    const own = [web, worker, migrate].flatMap((service) => entriesOf(service?.command?.join(' ') ?? ''));
    expect(own.sort()).toEqual(entriesOf(Object.values(await procfile()).join('\n')));
    expect(Object.keys(others).sort()).toEqual(['postgres', 'secrets']);
    for (const service of [web, worker]) {
      expect(service?.depends_on).toEqual({
        redis: { condition: 'service_healthy' },
        postgres: { condition: 'service_healthy' },
        migrate: { condition: 'service_completed_successfully' },
      });
    }
    expect(redis?.command?.join(' ')).toContain('--maxmemory-policy noeviction');
    expect(redis?.command?.join(' ')).toContain('--appendonly yes');
  });

  test('publishes the web alone, and to this machine alone unless told otherwise', () => {
    const published = Object.entries(services).filter(([, { ports }]) => ports);
    expect(published.map(([name, { ports }]) => [name, ports?.length])).toEqual([['web', 1]]);
    expect(services.web?.ports?.[0]).toMatch(/^\$\{PUBLISHED_ADDRESS:-127\.0\.0\.1\}:\$\{PUBLISHED_PORT:-3000\}:3000$/);
    expect(services.web?.environment).toMatchObject({ HOST: '0.0.0.0', PORT: '3000' });
  });

  test('holds no password, and each service sees its own alone', async () => {
    const settings = Object.values(services).flatMap(({ environment = {} }) => Object.entries(environment));
    for (const [name, value] of settings.filter(([name]) => /PASSWORD|SECRET|URL/.test(name))) {
      expect([name, value]).toEqual([
        name,
        expect.stringMatching(/^(\/run\/made\/password|\$\{POSTGRES_PASSWORD:-\})$/),
      ]);
    }
    for (const [name, volume] of Object.entries({
      web: 'rollcall',
      worker: 'rollcall',
      migrate: 'rollcall',
      redis: 'redis',
      postgres: 'postgres',
    })) {
      const kept = [...mountsOf(name)].filter(([from]) => from.includes('secrets'));
      expect(kept).toEqual([[`${volume}-secrets`, { to: expect.any(String), mode: 'ro' }]]);
      expect(mountsOf('secrets').get(`${volume}-secrets`)?.to).toBe(`/made/${volume}`);
    }
    const mounted = Object.keys(services).flatMap((name) => [...mountsOf(name).keys()]);
    expect(volumes.sort()).toEqual([...new Set(mounted)].sort());
    for (const store of ['redis', 'postgres']) {
      expect(services[store]?.depends_on).toEqual({ secrets: { condition: 'service_completed_successfully' } });
    }
    expect(copiedIntoImage(await readFile('Dockerfile', 'utf8'))).toContain(services.secrets?.command?.[1]);
  });
});

describe('the passwords of compose', () => {
  const made: string[] = [];
  afterAll(async () => {
    for (const folder of made) await rm(folder, { recursive: true, force: true });
  });

  /** As the service does; the folders of its volumes are in the one that it returns. */
  const make = async (folder?: string, env: Record<string, string> = {}) => {
    const at = folder ?? (await mkdtemp(join(tmpdir(), 'rollcall-made-')));
    if (folder === undefined) made.push(at);
    const [, script = ''] = services.secrets?.command ?? [];
    execFileSync(process.execPath, [script, at], { env });
    return at;
  };
  const read = (folder: string, ...path: string[]) => readFile(join(folder, ...path), 'utf8');

  /** What a process of Rollcall is started with, in an environment of these settings. */
  const started = (folder: string, given: Record<string, string>) => {
    const [shell = '', flag = '', command = ''] = services.web?.command ?? [];
    const here = command
      .replace('/run/rollcall', join(folder, 'rollcall'))
      .replace(/exec .*/, `exec '${process.execPath}' -p 'JSON.stringify(process.env)'`);
    return JSON.parse(execFileSync(shell, [flag, here], { env: given, encoding: 'utf8' })) as Record<string, string>;
  };

  test('are made once: a second start finds the same, also where a volume of one service is lost', async () => {
    const folder = await make();
    const all = async () => [
      await read(folder, 'postgres', 'password'),
      await read(folder, 'redis', 'redis.conf'),
      await read(folder, 'redis', 'password'),
      await read(folder, 'rollcall', 'settings.sh'),
    ];
    const first = await all();
    await rm(join(folder, 'rollcall'), { recursive: true });
    await make(folder, { POSTGRES_PASSWORD: 'another' });
    expect(await all()).toEqual(first);
    const other = await make();
    expect(await read(other, 'postgres', 'password')).not.toBe(first[0]);
    for (const secret of [first[0], first[2]]) expect(secret).toMatch(/^[0-9a-f]{64}$/);
  });

  test('are all that the processes need to start, and lead to the stores beside them', async () => {
    const folder = await make();
    const { PATH = '' } = process.env;
    // As .env.example is, copied without a change.
    const example = {
      JWT_SECRET: '',
      REDIS_URL: 'redis://127.0.0.1:6379',
      DATABASE_URL: 'postgres://rollcall:rollcall@127.0.0.1:5432/rollcall',
    };
    for (const given of [{ PATH }, { PATH, ...example }]) {
      const env = started(folder, given);
      const config = readConfig(env);
      expect(config).toMatchObject({
        jwt: { key: { algorithm: 'HS256' } },
        adminPassword: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      expect(env.DATABASE_URL).toBe(
        `postgres://rollcall:${await read(folder, 'postgres', 'password')}@postgres:5432/rollcall`,
      );
      expect(env.REDIS_URL).toBe(`redis://:${await read(folder, 'redis', 'password')}@redis:6379`);
    }
  });

  test('give way to what is set by hand', async () => {
    const folder = await make(undefined, { POSTGRES_PASSWORD: "it's @ home/%" });
    const { PATH = '' } = process.env;
    const own = started(folder, { PATH, JWT_SECRET: 'x'.repeat(32), ADMIN_PASSWORD: 'of my own' });
    expect(own).toMatchObject({ JWT_SECRET: 'x'.repeat(32), ADMIN_PASSWORD: 'of my own' });
    const keys = started(folder, { PATH, JWKS_URL: 'https://example.com/jwks.json' });
    expect(keys.JWT_SECRET).toBeUndefined();
    expect(readConfig(keys).jwt.key).toMatchObject({ url: expect.anything() });
    expect(await read(folder, 'postgres', 'password')).toBe("it's @ home/%");
    expect(decodeURIComponent(new URL(keys.DATABASE_URL ?? '').password)).toBe("it's @ home/%");
  });

  test('open the Redis that compose starts with them, which lets nobody else in', async () => {
    const folder = await make();
    const program = await provideRedisProgram();
    if (typeof program === 'string') throw new Error(program);
    const port = await freePort();
    const [, configuration = '', ...args] = services.redis?.command ?? [];
    const here = configuration.replace(mountsOf('redis').get('redis-secrets')?.to ?? '', join(folder, 'redis'));
    const server = serverProcess({
      name: 'The Redis of compose',
      command: program.command,
      args: [here, ...args, '--port', String(port), '--bind', '127.0.0.1', '--dir', folder],
      options: { argv0: program.argv0, cwd: folder },
      stopSignal: 'SIGTERM',
      orphanSignal: 'SIGTERM',
      probe: () => listens(port),
    });
    await server.start();
    const { REDIS_URL = '' } = started(folder, { PATH: process.env.PATH ?? '' });
    const knows = new Redis(REDIS_URL.replace('redis:6379', `127.0.0.1:${port}`), { lazyConnect: true });
    const stranger = new Redis(port, '127.0.0.1', { lazyConnect: true, maxRetriesPerRequest: 0 });
    // What it is told when it connects; the question below is told the same.
    stranger.on('error', () => {});
    try {
      expect(await knows.config('GET', 'maxmemory-policy')).toContain('noeviction');
      await expect(stranger.ping()).rejects.toThrow('NOAUTH');
    } finally {
      knows.disconnect();
      stranger.disconnect();
      await server.shutdown();
    }
  });
});
