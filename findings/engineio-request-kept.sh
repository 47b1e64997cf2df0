#!/usr/bin/env bash
# The good guess: a server that lets go of the request of each handshake, as Socket.IO's page on memory usage says
# (`io.engine.on('connection', (rawSocket) => { rawSocket.request = null })`), keeps nothing of it for as long as the connection lasts.
# What is real (socket.io 4.8.4): for a WebSocket it is kept all the same. Engine.IO makes a response of its own for the handshake's
# middlewares, which refers to the request, and a listener for `close` on the TCP socket refers to that. Without that listener it is gone.
# Why it matters to a presence service: it is nearly all idle connections, and the request is some 2.8 KB of each of them, a sixth of what
# such a connection takes of the heap.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund socket.io@4.8.4 socket.io-client@4.8.4
cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from 'socket.io';
import { io as connect } from 'socket.io-client';

setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 30_000).unref();
const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(version('socket.io'), version('engine.io'), version('ws'), 'node', process.version);

/** How many of ten requests are still there while their connections last. */
async function kept({ dropsListeners }) {
  const http = createServer();
  const io = new Server(http, { transports: ['websocket'], serveClient: false });
  const requests = [];
  io.engine.on('connection', (rawSocket) => {
    const tcp = rawSocket.transport.socket._socket;
    requests.push(new WeakRef(rawSocket.request));
    rawSocket.request = null;
    if (dropsListeners) {
      for (const listener of tcp.listeners('close')) {
        if (listener.name !== 'socketOnClose') tcp.off('close', listener);
      }
    }
  });
  await new Promise((done) => http.listen(0, '127.0.0.1', done));
  const { port } = http.address();
  const clients = Array.from({ length: 10 }, () => connect(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true }));
  await Promise.all(clients.map((client) => new Promise((done) => client.once('connect', done))));
  // Socket.IO's own socket has one in its handshake, which is let go of as well.
  for (const socket of io.sockets.sockets.values()) socket.handshake = undefined;
  for (let n = 0; n < 5; n++) {
    await sleep(200);
    globalThis.gc();
  }
  const left = requests.filter((request) => request.deref() !== undefined).length;
  for (const client of clients) client.disconnect();
  await io.close();
  return left;
}
const asTold = await kept({ dropsListeners: false });
const without = await kept({ dropsListeners: true });
console.log(`as the page says: ${asTold} of 10 requests are kept; without other listeners for close on the TCP socket: ${without}`);
process.exit(asTold === 10 && without === 0 ? 0 : 1);
JS
node --expose-gc check.mjs
