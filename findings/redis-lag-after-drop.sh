#!/usr/bin/env bash
# The good guess: `lag` of XINFO GROUPS is how many entries a group has still to be given, or nothing where Redis cannot tell; once the group has
# been given the last entry it is right in any case ("tracking its lag can be resumed", says the documentation).
# What is real (Redis 7.0.15, that of Debian 12): where entries that the group had not read are dropped, by XTRIM, a cap of XADD, or XDEL right behind
# what it read, they stay in its lag for ever: with nothing left to read it is still their number, and grows by what comes. It is told
# as a number and not left out. (redis/redis issues 13337 and 13957; mended for later versions.)
# Why it matters to a presence service: a stream of changes with a cap loses its oldest when the database is long away. From then on a gauge
# of what is still to be recorded never is zero again. Whether the group has work is told by `last-delivered-id` beside the last id.
# Needs redis-server in the PATH; starts one of its own on a free port of the loopback.
set -euo pipefail
command -v redis-server >/dev/null || { echo 'needs redis-server in the PATH'; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ioredis@6.0.0
cat >check.mjs <<'JS'
import { execFileSync, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';

const HOST = '127.0.0.1';
setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 30_000).unref();
const free = createServer();
const port = await new Promise((done) => free.listen(0, HOST, () => done(free.address().port)));
await new Promise((done) => free.close(done));
const server = spawn('redis-server', ['--port', port, '--bind', HOST, '--save', ''], { stdio: 'ignore' });
process.on('exit', () => server.kill('SIGKILL'));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
const redis = new Redis({ host: HOST, port }).on('error', () => {});
console.log(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).split(' sha')[0]);

const lagOf = async (stream) => {
  const [flat] = await redis.xinfo('GROUPS', stream);
  const lag = flat[flat.indexOf('lag') + 1];
  return lag === null ? 'not told' : lag;
};
const give = async (stream, ...count) => (await redis.xreadgroup('GROUP', 'record', 'one', ...count, 'STREAMS', stream, '>'))?.[0]?.[1].length ?? 0;
/** The lags of a group that was given the first of five, then lost some, then was given what there is, one by one. */
async function found(what, drop) {
  for (let n = 1; n <= 5; n++) await redis.xadd(what, `${n}-0`, 'change', n);
  await redis.xgroup('CREATE', what, 'record', '0');
  await give(what, 'COUNT', 1);
  await drop(what);
  const dropped = await lagOf(what);
  let given = 0;
  while (await give(what, 'COUNT', 1)) given += 1;
  const atEnd = await lagOf(what);
  await redis.xadd(what, '6-0', 'change', 6);
  await give(what);
  const later = await lagOf(what);
  console.log(`${what}: lag ${dropped}; after the ${given} that were left: lag ${atEnd}; after one more that was added and given: lag ${later}`);
  return [atEnd, later];
}
const none = await found('nothing dropped', async () => {});
const trimmed = await found('XTRIM of three that were not read', (stream) => redis.xtrim(stream, 'MAXLEN', 1));
const removed = await found('XDEL of the two behind what was read', (stream) => redis.xdel(stream, '2-0', '3-0'));
redis.disconnect();
process.exit(none.join() === '0,0' && trimmed.join() === '3,3' && removed.join() === '2,2' ? 0 : 1);
JS
node check.mjs
