#!/usr/bin/env bash
# The good guess: `end()` of a stream that has ended already does nothing, so that it may be called again without a thought.
# What is real (Node 24.21.0, ws 8.23.0): once the stream has finished, each further `end()` makes an ERR_STREAM_ALREADY_FINISHED with its
# stack, tens of times as dear as asking `writableEnded` first. Where no callback was given it is handed to nobody and thrown away. `ws` calls
# `end()` of what it receives by three times, and that of the TCP socket twice, at each orderly close: three errors that nobody sees.
# Why it matters to a presence service: after a network fault or at a deploy thousands of connections close within a second, and just then
# each builds three stacks. A profile of such a second shows errors being made although nothing goes wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund node@24.21.0 ws@8.23.0
cat >check.mjs <<'JS'
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { WebSocketServer } from 'ws';

const TIMES = 10;
setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 30_000).unref();
console.log('node', process.version, 'ws', JSON.parse(readFileSync('node_modules/ws/package.json', 'utf8')).version);
const inspector = new Session();
inspector.connect();
await inspector.post('Profiler.enable');
await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
/** How many errors of Node's own were made in this thread since it was asked last. */
async function errorsMade() {
  const { result } = await inspector.post('Profiler.takePreciseCoverage');
  const functions = result.filter(({ url }) => url === 'node:internal/errors').flatMap((script) => script.functions);
  return functions.filter((made) => made.functionName === 'NodeError').reduce((sum, made) => sum + made.ranges[0].count, 0);
}

const stream = new Writable({ write: (_chunk, _encoding, done) => done() });
const heard = [];
stream.on('error', (error) => heard.push(error));
stream.end();
await once(stream, 'finish');
await errorsMade();
for (let n = 0; n < TIMES; n++) stream.end();
const again = await errorsMade();
for (let n = 0; n < TIMES; n++) if (!stream.writableEnded) stream.end();
const asked = await errorsMade();
await turn();
console.log(`${TIMES} more calls of end(): ${again} errors made, ${heard.length} heard of; where writableEnded is asked before: ${asked}`);
const told = await new Promise((done) => stream.end(done));
console.log('with a callback it is handed over:', told?.code);

const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
await once(server, 'listening');
const calls = { receiver: 0, socket: 0 };
let closed = 0;
server.on('connection', (socket) => {
  for (const [name, stream] of [['receiver', socket._receiver], ['socket', socket._socket]]) {
    const { end } = stream;
    stream.end = function (...args) {
      calls[name] += 1;
      return end.apply(this, args);
    };
  }
  socket.on('close', () => (closed += 1));
  socket.on('error', (error) => heard.push(error));
});
await errorsMade();
// In a thread of its own, so that its errors are not counted.
const clients = `
const { once } = require('node:events');
const { WebSocket } = require('ws');
(async () => {
  for (let n = 0; n < ${TIMES}; n++) {
    const client = new WebSocket('ws://127.0.0.1:${server.address().port}');
    await once(client, 'open');
    client.close();
    await once(client, 'close');
  }
})();`;
await once(new Worker(clients, { eval: true }), 'exit');
while (closed < TIMES) await turn();
const closing = await errorsMade();
console.log(`${TIMES} WebSockets closed by their clients: end() of the receiver ${calls.receiver} times, of the socket ${calls.socket} times; ${closing} errors made, ${heard.length} heard of`);
const isSo = again === TIMES && asked === 0 && told?.code === 'ERR_STREAM_ALREADY_FINISHED' && closing >= 2 * TIMES && heard.length === 0;
process.exit(isSo ? 0 : 1);
JS
./node_modules/node/bin/node check.mjs
