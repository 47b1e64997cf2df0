#!/usr/bin/env bash
# The good guess: who listens for `error` and `sentinelError` on a client hears of all that goes wrong with its Sentinels; nothing
# is written to the console past the program's own log.
# What is real (ioredis 6.0.0): with `failoverDetector: true` the connections on which it listens to the Sentinels have no listener
# for errors. As long as one Sentinel is away the library writes "[ioredis] Unhandled error event" and a stack to the console, at
# each attempt to reach it; the client hears neither `error` nor `sentinelError`. Without the option it is quiet. `sentinelError`
# only tells of those that were asked for the primary.
# Why it matters to a presence service: each process has several connections, and each writes so, by default once a minute, with a
# shorter `sentinelReconnectStrategy`, without which a failover may be missed, far more often. A Sentinel that is taken down for
# maintenance then fills the log with lines that are not in its form, while all is well.
# Needs redis-server in the PATH; starts a server and two Sentinels of its own on free ports of the loopback.
set -euo pipefail
command -v redis-server >/dev/null || { echo 'needs redis-server in the PATH'; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ioredis@6.0.0
cat >check.mjs <<'JS'
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const HOST = '127.0.0.1';
const started = [];
process.on('exit', () => started.forEach((server) => server.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 55_000).unref();

const freePort = async () => {
  const server = createServer();
  const port = await new Promise((done) => server.listen(0, HOST, () => done(server.address().port)));
  await new Promise((done) => server.close(done));
  return port;
};
function start(port, lines, ...flags) {
  mkdirSync(`${port}`);
  writeFileSync(`${port}/redis.conf`, [`port ${port}`, `bind ${HOST}`, `dir ${process.cwd()}/${port}`, ...lines, ''].join('\n'));
  const server = spawn('redis-server', [`${port}/redis.conf`, ...flags], { stdio: 'ignore' });
  started.push(server);
  return server;
}
const answers = async (port, ...command) => {
  const asking = new Redis({ host: HOST, port }).on('error', () => {});
  while (!(await asking.call(...command).catch(() => null))) await sleep(50);
  asking.disconnect();
};

const written = [];
console.error = (...words) => written.push(words.join(' ').split('\n')[0].replace(/:\d+$/, ':PORT'));
/** A client of both; what it heard and what was written, until now. */
function listen(ports, failoverDetector) {
  const heard = { error: 0, sentinelError: 0 };
  const sentinels = ports.map((port) => ({ host: HOST, port }));
  const client = new Redis({ sentinels, name: 'main', failoverDetector, sentinelReconnectStrategy: () => 200 });
  for (const name of Object.keys(heard))
    client.on(name, () => {
      heard[name] += 1;
    });
  return { client, heard };
}
const tell = (what, { heard, lines }) =>
  console.log(`${what}: heard error ${heard.error}, sentinelError ${heard.sentinelError}; on the console ${lines.length}`, [...new Set(lines)]);

console.log('ioredis', JSON.parse(readFileSync('node_modules/ioredis/package.json', 'utf8')).version, 'node', process.version);
console.log(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).split(' sha')[0]);
const [primary, stays, goes] = [await freePort(), await freePort(), await freePort()];
start(primary, ['save ""']);
await answers(primary, 'PING');
const results = {};
for (const failoverDetector of [false, true]) {
  let sentinel;
  for (const port of [stays, goes].slice(failoverDetector ? 1 : 0)) {
    const at = failoverDetector ? await freePort() : port;
    sentinel = { at, server: start(at, [`sentinel monitor main ${HOST} ${primary} 1`], '--sentinel') };
    await answers(at, 'SENTINEL', 'get-master-addr-by-name', 'main');
  }
  const { client, heard } = listen([stays, sentinel.at], failoverDetector);
  await client.ping();
  await sleep(1000);
  sentinel.server.kill('SIGKILL');
  await sleep(2000);
  results[failoverDetector] = { heard, lines: written.splice(0), answer: await client.ping() };
  tell(`failoverDetector ${failoverDetector}, one of two Sentinels goes away`, results[failoverDetector]);
  client.disconnect();
}
const { client, heard } = listen([goes, stays], false);
await client.ping();
tell('failoverDetector false, the one that is asked first is away', { heard, lines: written.splice(0) });
const { false: without, true: having } = results;
const nobodyHeard = [without, having].every((result) => result.heard.error + result.heard.sentinelError === 0);
process.exit(nobodyHeard && without.lines.length === 0 && having.lines.length >= 2 && heard.sentinelError === 1 ? 0 : 1);
JS
node check.mjs
