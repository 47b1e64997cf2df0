#!/usr/bin/env bash
# The good guess: `upsertJobScheduler` may be called at every start of a process: as often as it is said, a scheduler has one run
# that is still to come, also in a queue that is paused, and once the queue is resumed that one runs.
# What is real (BullMQ 6.7.0): so it is as long as the queue is not paused. In a paused one a run that is due is not found again, and
# the call adds the next one behind it: one more for each interval in which it is called. Resumed, all of them run at once. A paused
# queue that is left alone has one.
# Why it matters to a presence service: an operator pauses the queue of the repeating jobs, processes are started again or look after
# the schedulers meanwhile, and when it is resumed the same sweep over everybody runs as often as that, one after the other.
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

const CALLS = 5;
const EVERY_MS = 1000;
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

/** How many runs there are after some calls, an interval and a little between them, and how many then run at once. */
async function found(name, { paused, calls, worksBefore }) {
  const queue = new Queue(name, { connection }).on('error', () => {});
  if (paused) await queue.pause();
  let ran = 0;
  const work = () =>
    new Worker(name, async () => void (ran += 1), { connection }).on('error', () => {});
  let worker = worksBefore ? work() : null;
  await worker?.waitUntilReady();
  for (let call = 0; call < CALLS; call++) {
    if (call < calls) await queue.upsertJobScheduler('sweep', { every: EVERY_MS }, { name: 'sweep' });
    await sleep(EVERY_MS * 1.2);
  }
  const { wait, paused: held, delayed } = await queue.getJobCounts('wait', 'paused', 'delayed');
  if (paused) await queue.resume();
  worker ??= work();
  await sleep(EVERY_MS / 2);
  const result = { runs: wait + held + delayed, due: wait + held, ran };
  console.log(
    `${name}: ${calls} calls, ${result.runs} runs to come, ${result.due} of them due; ${ran} ran within ${EVERY_MS / 2} ms of ${paused ? 'the resume' : 'the first worker'}`,
  );
  await worker.close();
  await queue.close();
  return result;
}
const [open, left, upserted] = await Promise.all([
  found('not paused, no worker yet', { paused: false, calls: CALLS, worksBefore: false }),
  found('paused and left alone', { paused: true, calls: 1, worksBefore: true }),
  found('paused', { paused: true, calls: CALLS, worksBefore: true }),
]);
process.exit(open.runs === 1 && left.runs === 1 && upserted.due >= CALLS - 1 && upserted.ran >= CALLS - 1 ? 0 : 1);
JS
node check.mjs
