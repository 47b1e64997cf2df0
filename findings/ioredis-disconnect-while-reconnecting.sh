#!/usr/bin/env bash
# The good guess: `disconnect()` ends a client for good and says so: its status is `end` and the event of that name comes, in whatever
# state it was called, so that a process which stops can wait for it.
# What is real (ioredis 6.0.0): called between two attempts to connect (status `reconnecting`) it takes back the next attempt, and nothing
# else: the status stays `reconnecting`, and neither `end` nor `close` ever comes. A command that waits in the offline queue is
# never answered. Called while it is connected, or while an attempt is under way, `end` comes.
# Why it matters to a presence service: a process that is told to end while Redis is away waits for the end of its connections, and for
# the commands that it owes, until somebody kills it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ioredis@6.0.0
cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const HOST = '127.0.0.1';
const LONG_ENOUGH_MS = 5000;
console.log('ioredis', JSON.parse(readFileSync('node_modules/ioredis/package.json', 'utf8')).version, 'node', process.version);
// Nobody listens there any more.
const free = createServer();
const port = await new Promise((done) => free.listen(0, HOST, () => done(free.address().port)));
await new Promise((done) => free.close(done));

/** Ends a client in the state that an event stands for. */
async function ended(event) {
  const client = new Redis({ host: HOST, port, retryStrategy: () => 1000, maxRetriesPerRequest: null });
  client.on('error', () => {});
  const heard = [];
  let answered = 'never';
  client.get('a').then(
    () => (answered = 'answered'),
    () => (answered = 'rejected'),
  );
  if (event !== 'connecting') await new Promise((done) => client.once(event, done));
  const before = client.status;
  for (const name of ['close', 'end']) client.on(name, () => heard.push(name));
  client.disconnect();
  await sleep(LONG_ENOUGH_MS);
  console.log(`disconnect() while ${before}: then ${client.status}, events ${heard.join(' ') || 'none'}, a command that waited: ${answered}`);
  return { status: client.status, heard, answered };
}
const [attempt, between] = [await ended('connecting'), await ended('reconnecting')];
const asGuessed = attempt.heard.includes('end') && attempt.answered === 'rejected';
const surprises = !between.heard.includes('end') && between.status !== 'end' && between.answered === 'never';
process.exit(asGuessed && surprises ? 0 : 1);
JS
node check.mjs
