#!/usr/bin/env bash
# The good guess: `blockingTimeout`, the protection of ioredis against connections on which a blocking command is never answered, gives such a
# connection up: the command resolves with null, "the same value Redis returns when a blocking command times out normally", and all is
# as after that: nothing was taken, and the next command has a connection that works.
# What is real (ioredis 6.0.0): only the promise is given up. The connection stays as it is, and where it was well the server still waits on its
# behalf: commands behind it are not answered, no event tells why, and the next element that is pushed is taken off the list and
# handed to nobody. It is lost. Only then the commands behind are answered.
# Why it matters to a presence service: workers wait for jobs so. One that took this null for "nothing came" has thrown away the job that
# comes next: somebody who left is never told away. A limit belongs into the command, shorter than this option.
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
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const HOST = '127.0.0.1';
const TIMEOUT_MS = 1500;
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
console.log('ioredis', JSON.parse(readFileSync('node_modules/ioredis/package.json', 'utf8')).version, 'node', process.version);
console.log(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).split(' sha')[0]);

const other = new Redis({ host: HOST, port }).on('error', () => {});
await other.ping();
/** What a wait for an element gives, whether a command behind it is answered, and what is left of an element that is pushed then. */
async function found(what, seconds) {
  const waiting = new Redis({ host: HOST, port, blockingTimeout: TIMEOUT_MS });
  await waiting.ping();
  const events = [];
  for (const name of ['error', 'close', 'reconnecting', 'end']) waiting.on(name, () => events.push(name));
  const answer = await waiting.blpop('jobs', seconds);
  let answered = false;
  const ping = waiting.ping().then(() => (answered = true));
  await Promise.race([ping, sleep(2000)]);
  const before = answered;
  await other.rpush('jobs', 'ada left');
  await ping;
  const left = await other.lrange('jobs', 0, -1);
  await other.del('jobs');
  console.log(`${what}: answer ${answer}, events ${events.join() || 'none'}; a command behind it is answered ${before ? 'at once' : 'only after a push'}; of the job that was pushed then ${left.length ? 'all is there' : 'nothing is left'}`);
  waiting.disconnect();
  return { answer, events, before, left };
}
const ended = await found('BLPOP for a second, ended by Redis', 1);
const given = await found(`BLPOP without end, given up after ${TIMEOUT_MS} ms`, 0);
other.disconnect();
const isSo =
  ended.answer === null && ended.before && ended.left.length === 1 &&
  given.answer === null && !given.before && given.left.length === 0 && given.events.length === 0;
process.exit(isSo ? 0 : 1);
JS
node check.mjs
