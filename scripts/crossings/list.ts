import { mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { PGBOUNCER } from '../embedded/pgbouncer.ts';
import { onPath, run } from '../embedded/programs.ts';
import { PROXY_PROGRAMS } from '../embedded/proxy-programs.ts';
import { provideUnpacked, type UnpackedProgram } from '../embedded/unpacked.ts';
import { provideReleased, type ReleasedProgram } from './debian-release.ts';
import { providePostgres } from './npm-postgres.ts';

/** What the tests run with, or why this crossing is left out. */
export type Provided = { env: Record<string, string> } | { reason: string };

export interface Crossing {
  name: string;
  /** Which of the tests. */
  core: keyof typeof CORES;
  /** `folder` is its own, and kept between runs. */
  provide(folder: string): Promise<Provided>;
  /** Of what is no store, as the program says itself. */
  version?: () => Promise<string>;
}

/** What people meet: coming and going, heartbeats, silence, choices, privacy, deploys. */
const PEOPLE = [
  ...['seed-flow', 'sessions', 'watching', 'heartbeats', 'manual', 'detail', 'deploys.long', 'social', 'why'].map(
    (name) => `test/flow/${name}.test.ts`,
  ),
];

/** Which files the tests of a crossing are in. */
export const CORES = {
  /** What there is only of stores, beside what people meet. */
  redis: [
    ...PEOPLE,
    ...['active-count', 'memberships', 'newest-first', 'push-places', 'seen-index'].map(
      (name) => `test/redis/${name}.test.ts`,
    ),
    ...['clock-scripts', 'outbox-scripts', 'scripts-follow-the-rules.long'].map(
      (name) => `test/properties/${name}.test.ts`,
    ),
    ...['figures', 'paused'].map((name) => `test/queues/${name}.test.ts`),
    'test/flow/timeout-queues.test.ts',
    'test/web/conversations.test.ts',
  ],
  postgres: [
    ...PEOPLE,
    'test/postgres/',
    ...['analytics.long', 'change-feed.long'].map((name) => `test/flow/${name}.test.ts`),
    ...['conversations', 'social-friends', 'social-privacy'].map((name) => `test/web/${name}.test.ts`),
  ],
  people: [...PEOPLE, 'test/flow/alerts-repeated.test.ts', 'test/flow/change-feed.long.test.ts'],
};

/** Where a Redis program is looked for under its own name, since nothing that is asked here brings it. */
const onThePath = (version: string): Crossing => ({
  name: `redis-${version}`,
  core: 'redis',
  provide: async (folder) => {
    const program = onPath(`redis-server-${version}`);
    if (!program) return { reason: `no Debian release has it, and no redis-server-${version} is on the PATH` };
    const { ok, output } = await run('ln', ['-sfn', program, await binOf(folder, 'redis-server')]);
    return ok ? first(folder) : { reason: output };
  },
});

const released = (name: string, program: Omit<ReleasedProgram, 'name'>): Crossing => ({
  name,
  core: 'redis',
  provide: async (folder) => {
    const reason = await provideReleased({ ...program, name: 'redis-server' }, folder);
    return reason === undefined ? first(folder) : { reason };
  },
});

const postgres = (version: string): Crossing => ({
  name: `postgres-${version.split('.')[0]}`,
  core: 'postgres',
  provide: async (folder) => {
    const reason = await providePostgres(version, folder);
    return reason === undefined ? { env: { TEST_POSTGRES: join(folder, 'native') } } : { reason };
  },
});

/** With what this machine and the package bring, set up in another way. */
const setUp = (
  name: string,
  core: Crossing['core'],
  env: Record<string, string>,
  program?: UnpackedProgram,
): Crossing => ({
  name,
  core,
  provide: async () => ({ env }),
  ...(program ? { version: () => versionOf(program) } : {}),
});

async function versionOf(program: UnpackedProgram): Promise<string> {
  const provided = await provideUnpacked(program);
  if ('reason' in provided) return provided.reason;
  const { output } = await run(provided.command, program.version, { env: { ...process.env, ...provided.env } });
  return `${NAMES[program.package]} ${/\d+(?:\.\d+)+/.exec(output)}`;
}

const NAMES: Record<string, string> = { pgbouncer: 'PgBouncer', nginx: 'nginx', haproxy: 'HAProxy' };

async function binOf(folder: string, name: string): Promise<string> {
  await mkdir(join(folder, 'bin'), { recursive: true });
  return join(folder, 'bin', name);
}

/** The tests take the first Redis that they find. */
function first(folder: string): Provided {
  return { env: { PATH: [join(folder, 'bin'), process.env.PATH].join(delimiter) } };
}

const redisTools = { package: 'redis-tools', file: 'usr/bin/redis-check-rdb' };
const valkeyTools = { package: 'valkey-tools', file: 'usr/bin/valkey-check-rdb' };

export const CROSSINGS: readonly Crossing[] = [
  ...['14.23.0-beta.17', '15.18.0-beta.17', '16.14.0-beta.17', '17.10.0-beta.17', '18.4.0-beta.17'].map(postgres),
  setUp('pgbouncer-transaction', 'people', { TEST_POOLER: 'transaction' }, PGBOUNCER),
  setUp('pgbouncer-session', 'people', { TEST_POOLER: 'session' }, PGBOUNCER),
  onThePath('6.2'),
  released('redis-7.0', { ...redisTools, suites: ['bookworm'] }),
  ...['7.2', '7.4'].map(onThePath),
  released('redis-8.0', { ...redisTools, suites: ['trixie'] }),
  released('redis-8.6', { ...redisTools, suites: ['experimental', 'sid'] }),
  released('valkey-8.1', { ...valkeyTools, suites: ['trixie'] }),
  released('valkey-9.1', { ...valkeyTools, suites: ['sid'] }),
  setUp('redis-rights', 'people', { TEST_REDIS: 'rights' }),
  setUp('sentinel', 'people', { TEST_REDIS: 'sentinel' }),
  setUp('nginx', 'people', { TEST_PROXY: 'nginx' }, PROXY_PROGRAMS.nginx),
  setUp('haproxy', 'people', { TEST_PROXY: 'haproxy' }, PROXY_PROGRAMS.haproxy),
];
