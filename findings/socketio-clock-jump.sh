#!/usr/bin/env bash
# The good guess: a wall clock that is set forward is nothing to a Socket.IO client. Pings are waited for by timers, which do not follow that
# clock, the connection is alive on both sides, and what is emitted next goes out as ever.
# What is real (socket.io-client 4.8.4, engine.io-client 6.6): the next thing that is emitted finds by the wall clock that the server has been silent
# for longer than it may be. It is kept back, and the client ends the healthy connection as a ping timeout. Where the client does not connect
# again by itself, the promise of that acknowledgement is never settled, neither then nor at `disconnect()`, though one that was on its way when a
# connection ended is rejected: for that which was kept back nobody cleans up. A step of less than the ping interval and timeout together does nothing.
# Why it matters to a presence service: clocks are set forward by NTP after a start, and jump whenever a virtual machine is restored or a laptop
# wakes. All clients of such a machine break off at their next heartbeat, together; and a backend that waits for an answer without a limit waits for ever.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund socket.io@4.8.4 socket.io-client@4.8.4
cat >check.mjs <<'JS'
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from 'socket.io';
import { io as connect } from 'socket.io-client';

setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 60_000).unref();
const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(version('socket.io'), version('socket.io-client'), version('engine.io-client'), 'node', process.version);
const http = createServer();
const io = new Server(http, { serveClient: false, pingInterval: 10_000, pingTimeout: 5000 });
let heard = 0;
io.on('connection', (socket) => {
  socket.on('question', (answer) => {
    heard++;
    answer('yes');
  });
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');

const realNow = Date.now;
/** What becomes of a question that is asked right after the wall clock was set forward by so much. */
async function found(stepMs) {
  heard = 0;
  const client = connect(`http://127.0.0.1:${http.address().port}`, { transports: ['websocket'], forceNew: true, reconnection: false });
  await once(client, 'connect');
  let ended = 'connected';
  client.on('disconnect', (reason) => {
    ended = reason;
  });
  Date.now = () => realNow() + stepMs;
  let said = 'nothing';
  client.emitWithAck('question').then(
    (answer) => {
      said = answer;
    },
    (error) => {
      said = error.message;
    },
  );
  await sleep(2000);
  client.disconnect();
  await sleep(2000);
  Date.now = realNow;
  console.log(`set forward by ${stepMs / 1000} s: the server heard ${heard}, the client was told ${said} and is ${ended}`);
  return [heard, said, ended].join();
}
const all = [await found(0), await found(10_000), await found(20_000)];
await io.close();
const isSo = ['1,yes,io client disconnect', '1,yes,io client disconnect', '0,nothing,ping timeout'];
process.exit(all.join(';') === isSo.join(';') ? 0 : 1);
JS
node check.mjs
