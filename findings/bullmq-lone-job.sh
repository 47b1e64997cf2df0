#!/usr/bin/env bash
# The good guess: a worker that waits for a job begins with it as soon as it has been handed it, whatever its `concurrency` is: a second
# job would be fetched beside it.
# What is real (BullMQ 6.7.0): with a `concurrency` above 1 a worker that was handed a job asks for another before it begins with the first,
# and begins only when the answer is that there is none. With 1 it begins at once. So a job that comes alone is five scripts from its
# adding to the worker's waiting again, of which three lie before its beginning; with 1 it is four and two.
# Why it matters to a presence service: a goodbye is made known by jobs that come alone. Each of them begins a round trip to Redis
# later, and costs Redis and the worker a script more, for a concurrency that it has no use of.
# Needs redis-server in the PATH; starts one of its own on a free port of the loopback.
set -euo pipefail
command -v redis-server >/dev/null || { echo 'needs redis-server in the PATH'; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund bullmq@6.7.0 ioredis@6.0.0
cat >check.mjs <<'JS'
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const ROUNDS = 20;
const HOST = '127.0.0.1';
setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 55_000).unref();
const free = createServer();
const port = await new Promise((done) => free.listen(0, HOST, () => done(free.address().port)));
await new Promise((done) => free.close(done));
const server = spawn('redis-server', ['--port', port, '--bind', HOST, '--save', ''], { stdio: 'ignore' });
process.on('exit', () => server.kill('SIGKILL'));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(version('bullmq'), version('ioredis'), 'node', process.version);
console.log(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).split(' sha')[0]);
const connection = { host: HOST, port };
const admin = new Redis({ host: HOST, port });
admin.on('error', () => {});

/** Calls of scripts and of blocking reads since the last reset. */
async function asked() {
  const told = await admin.info('commandstats');
  const calls = (name) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(told)?.[1] ?? 0);
  return { scripts: calls('evalsha') + calls('eval'), reads: calls('bzpopmin') };
}
const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** What a worker that waits has asked for when it begins with a job that comes alone, and when it waits again. */
async function found(concurrency) {
  const name = `of ${concurrency}`;
  const queue = new Queue(name, { connection, skipVersionCheck: true }).on('error', () => {});
  let begun;
  const processor = async () => begun(await asked());
  const worker = new Worker(name, processor, { connection, concurrency, skipVersionCheck: true }).on('error', () => {});
  await worker.waitUntilReady();
  const [atBegin, atEnd, reads] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    await sleep(150);
    const beginning = new Promise((done) => {
      begun = done;
    });
    await admin.config('RESETSTAT');
    await queue.add('goodbye', {});
    atBegin.push((await beginning).scripts);
    await sleep(150);
    const end = await asked();
    atEnd.push(end.scripts);
    reads.push(end.reads);
  }
  await worker.close();
  await queue.close();
  const result = { atBegin: middle(atBegin), atEnd: middle(atEnd), reads: middle(reads) };
  console.log(`concurrency ${concurrency}: ${result.atBegin} scripts when the job begins, ${result.atEnd} and ${result.reads} blocking reads when all is over`);
  return result;
}
const one = await found(1);
const more = await found(16);
admin.disconnect();
process.exit(one.atBegin < more.atBegin && one.atEnd < more.atEnd ? 0 : 1);
JS
node check.mjs
