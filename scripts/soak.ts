import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import pg from 'pg';
import { type Stack, startStack } from '../bench/stack.ts';
import { fitLine, isFlat } from './fit-line.ts';
import { Crowds } from './people/crowds.ts';

/**
 * `npm run soak -- --minutes 10 [--users 2000]`: people stay, beat, and come and go, on stores of the run's own, while the
 * memory of every process, the keys of Redis, the connections of PostgreSQL, how late the webs' event loops are and how much
 * WAL is written are sampled. A line is fitted to each; it has to be flat. Ends with 1 where one is not. Node's processes collect
 * their garbage once a minute, and their memory is what is left then: how long V8 lets garbage lie on an idle machine is no leak, and hides one.
 */
const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, users: { type: 'string', default: '2000' } },
});
const minutes = Number(values.minutes);
const users = Number(values.users);
if (!(minutes > 0 && users >= 4)) {
  console.error('Minutes must be above 0, and users at least 4.');
  process.exit(1);
}

const SAMPLE_MS = 2000;
const COLLECT_MS = 60_000;
/** Of some hundred MiB. */
const COLLECTING_MS = 1500;
const CHURN_MS = 5000;
/** So many of each load process leave and come back each time. */
const CHURN_USERS = 10;
/** What is loaded and filled once (code, pools, caches) is no leak: at least so long, or a third of the run. */
const WARM_UP_MS = Math.max(60_000, (minutes * 60_000) / 3);
/** Short times, so that timeouts, sweeps and re-arming jobs come around often. */
const env = {
  AUDIENCE: 'watchers',
  PRESENCE_TTL_SECONDS: '20',
  HEARTBEAT_INTERVAL_SECONDS: '10',
  ADMIN_PASSWORD: randomBytes(16).toString('hex'),
};

interface Series {
  /** Growth below this is noise, whatever the line says. */
  noise: number;
  unit: string;
  points: { x: number; y: number }[];
}

const series = new Map<string, Series>();

function note(name: string, unit: string, noise: number, x: number, y: number): void {
  const kept = series.get(name) ?? { unit, noise, points: [] };
  kept.points.push({ x, y });
  series.set(name, kept);
}

/** What a process has for itself, and its share of what it shares, in MiB. */
function memoryMiB(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024;
  } catch {
    return 0;
  }
}

/** How late the event loop of the web at `url` was since it was asked last: the mean, in ms. */
async function lagMs(url: string): Promise<number> {
  const authorization = `Basic ${Buffer.from(`admin:${env.ADMIN_PASSWORD}`).toString('base64')}`;
  const answer = await fetch(`${url}/metrics`, { headers: { authorization } });
  const seconds = /^rollcall_nodejs_eventloop_lag_mean_seconds(?:{[^}]*})? (\S+)/m.exec(await answer.text())?.[1];
  if (!seconds) throw new Error(`${url}/metrics says nothing of its event loop (${answer.status})`);
  return Number(seconds) * 1000;
}

let walBefore: { x: number; bytes: number } | undefined;

async function sampleMemory(stack: Stack, x: number): Promise<void> {
  for (const pid of [...stack.pids.web, ...stack.pids.worker]) process.kill(pid, 'SIGUSR2');
  await new Promise((resolve) => setTimeout(resolve, COLLECTING_MS));
  for (const part of ['web', 'worker', 'redis'] as const) {
    for (const [n, pid] of stack.pids[part].entries()) note(`${part} ${n} memory`, 'MiB', 8, x, memoryMiB(pid));
  }
}

async function sample({ urls }: Stack, redis: Redis, db: pg.Client, x: number): Promise<void> {
  note('redis keys', 'keys', 100, x, await redis.dbsize());
  const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]) / 1024 / 1024;
  note('redis used_memory', 'MiB', 2, x, used);
  const { rows } = await db.query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database()`);
  note('postgres connections', 'connections', 2, x, rows[0].n);
  for (const [n, url] of urls.entries()) note(`web ${n} event loop lag`, 'ms', 5, x, await lagMs(url));
  const wal = await db.query(`SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS bytes`);
  const bytes: number = wal.rows[0].bytes;
  if (walBefore) {
    note('postgres WAL', 'KiB/s', 50, x, (bytes - walBefore.bytes) / 1024 / ((x - walBefore.x) * 3600));
  }
  walBefore = { x, bytes };
}

const nodeArgs = ['--expose-gc', '--import', './bench/measure/collect.ts'];
const stack = await startStack({ webs: 2, env, nodeArgs });
const redis = new Redis(stack.redisUrl);
const db = new pg.Client({ connectionString: stack.databaseUrl });
await db.connect();
const crowds = await Promise.all(
  stack.urls.map((url, n) => Crowds.gather(url, stack.secret, users / stack.urls.length, `web-${n}`)),
);
console.log(
  `${users} people are connected; ${minutes} minutes, of which ${Math.round(WARM_UP_MS / 1000)} s to warm up`,
);

const begun = performance.now();
let nextChurn = begun;
let nextCollected = begun;
while (performance.now() - begun < minutes * 60_000) {
  const now = performance.now();
  if (now >= nextChurn) {
    nextChurn = now + CHURN_MS;
    for (const crowd of crowds) await crowd.leave(CHURN_USERS);
    for (const crowd of crowds) await crowd.join();
  }
  if (now - begun >= WARM_UP_MS) {
    const x = (now - begun) / 3_600_000;
    await sample(stack, redis, db, x);
    if (now >= nextCollected) {
      nextCollected = now + COLLECT_MS;
      await sampleMemory(stack, x);
    }
  }
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, now + SAMPLE_MS - performance.now())));
}

const reports = await Promise.all(crowds.map((crowd) => crowd.report()));
const connected = reports.reduce((sum, report) => sum + report.connected, 0);
const told = reports.reduce((sum, report) => sum + report.told, 0);
console.log(`${connected} are connected at the end; ${told} changes were told`);
const rows = [...series].map(([name, { points, unit, noise }]) => {
  const line = fitLine(points);
  return {
    what: name,
    unit,
    mean: line.mean,
    'slope per hour': line.slope,
    grew: line.growth,
    flat: isFlat(line, noise),
  };
});
console.table(
  rows.map((row) => ({
    ...row,
    mean: row.mean.toFixed(1),
    'slope per hour': row['slope per hour'].toFixed(1),
    grew: row.grew.toFixed(2),
  })),
);
for (const crowd of crowds) crowd.disperse();
redis.disconnect();
await db.end();
await stack.stop();
const failed = rows.filter((row) => !row.flat).map((row) => row.what);
if (failed.length > 0) console.error(`Not flat: ${failed.join(', ')}`);
if (connected < users) console.error(`${users - connected} are not connected at the end`);
process.exit(failed.length > 0 || connected < users ? 1 : 0);
