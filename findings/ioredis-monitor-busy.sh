#!/usr/bin/env bash
# The good guess: `monitor()` resolves with a connection that tells of each command, however much goes on; where it rejects, there is
# no such connection.
# What is real (ioredis 5.11.1 and 6.0.0): on a busy server a part of the tries reject with "Command queue state error". The first
# commands that are told of came in one piece with the server's OK, and the library is not in the mode for them before the next
# turn. The connection is there all the same and goes on being told of everything, and the caller has no hand on it to close it.
# On a server where nothing else goes on all tries are well.
# Why it matters to a presence service: counting what one heartbeat costs is done with just this, on a server that is busy with
# heartbeats. Who tries again after a rejection leaves one more connection behind that the server sends everything to.
# Needs redis-server in the PATH; starts one of its own on a free port of the loopback.
set -euo pipefail
command -v redis-server >/dev/null || { echo 'needs redis-server in the PATH'; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ioredis-5@npm:ioredis@5.11.1 ioredis-6@npm:ioredis@6.0.0
cat >check.mjs <<'JS'
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const MOST_TRIES = 100;
const ENOUGH_REJECTED = 3;
const BUSY_CLIENTS = 10;
const COMMANDS = 100;
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
console.log(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).split(' sha')[0], 'node', process.version);

let asKnown = true;
for (const library of ['ioredis-5', 'ioredis-6']) {
  const { Redis } = await import(library);
  console.log('ioredis', JSON.parse(readFileSync(`node_modules/${library}/package.json`, 'utf8')).version);
  for (const busy of [false, true]) {
    const made = [];
    /** So that we have a hand on the connections that `monitor()` makes. */
    class Held extends Redis {
      duplicate(options) {
        const other = super.duplicate(options).on('error', () => {});
        made.push(other);
        return other;
      }
    }
    const open = () => new Held({ host: HOST, port }).on('error', () => {});
    const client = open();
    await client.ping();
    const others = Array.from({ length: busy ? BUSY_CLIENTS : 0 }, open);
    let goOn = true;
    const beating = others.map(async (other, at) => {
      while (goOn) {
        const beats = other.pipeline();
        for (let beat = 0; beat < COMMANDS; beat++) beats.incr(`beats-${at}`);
        await beats.exec();
        await sleep(2);
      }
    });
    const reasons = [];
    let tries = 0;
    for (; tries < (busy ? MOST_TRIES : 30) && reasons.length < ENOUGH_REJECTED; tries++) {
      await client.monitor().then(
        (monitor) => monitor.disconnect(),
        (error) => reasons.push(error.message.split('.')[0]),
      );
      await sleep(10);
    }
    goOn = false;
    await Promise.all(beating);
    await sleep(200);
    const left = (await client.client('LIST')).split('\n').filter((line) => line.includes('cmd=monitor')).length;
    const words = [...new Set(reasons)];
    console.log(`${busy ? 'busy' : 'quiet'}: of ${tries} tries ${reasons.length} rejected, ${left} left that monitor`, words);
    const isKnownReason = words.every((word) => word === 'Command queue state error');
    asKnown &&= isKnownReason && left === reasons.length && reasons.length === (busy ? ENOUGH_REJECTED : 0);
    for (const one of [client, ...others, ...made]) one.disconnect();
    await sleep(100);
  }
}
process.exit(asKnown ? 0 : 1);
JS
node check.mjs
