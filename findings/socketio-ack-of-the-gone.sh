#!/usr/bin/env bash
# The good guess: who waits for an acknowledgement of somebody who is disconnected is told so at once, on both sides alike: the client's
# `emitWithAck` rejects with "socket has been disconnected", and the server's does the same.
# What is real (socket.io 4.8.4): the server's does not. Without a timeout its promise is never settled; with one it rejects when that has passed,
# as if the other were slow, however soon the connection ended. A server that asks and then goes on does not go on.
# Why it matters to a presence service: clients leave at all times, also between question and answer. A loop that asks one device after the
# other ends at the first that goes, without an error; and with a timeout those who are gone are the slowest.
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

const TIMEOUT_MS = 3000;
setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 30_000).unref();
const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(version('socket.io'), version('socket.io-client'), 'node', process.version);
const http = createServer();
const io = new Server(http, { serveClient: false });
http.listen(0, '127.0.0.1');
await once(http, 'listening');

/** What becomes of a question to which the other side answers by closing the connection. */
async function found(what, byServer, ask) {
  const client = connect(`http://127.0.0.1:${http.address().port}`, { transports: ['websocket'], forceNew: true, reconnection: false });
  const [[server]] = await Promise.all([once(io, 'connection'), once(client, 'connect')]);
  const [asks, answers] = byServer ? [server, client] : [client, server];
  answers.on('question', () => answers.disconnect(true));
  const gone = once(asks, 'disconnect');
  let said = 'nothing';
  let wasTold = false;
  const told = ask(asks).catch((error) => error.message).then((message) => {
    said = message;
    wasTold = true;
  });
  await gone;
  await Promise.race([told, sleep(TIMEOUT_MS / 3)]);
  const soon = said;
  if (!wasTold) await Promise.race([told, sleep(TIMEOUT_MS * 2)]);
  console.log(`${what}: told ${soon} when the other was gone, ${said === soon ? 'the same' : said} much later`);
  client.disconnect();
  return [soon, said].join();
}
const plain = (socket) => socket.emitWithAck('question');
const limited = (socket) => socket.timeout(TIMEOUT_MS).emitWithAck('question');
const all = [
  await found('the client asks', false, plain),
  await found('the client asks with a timeout', false, limited),
  await found('the server asks', true, plain),
  await found('the server asks with a timeout', true, limited),
];
await io.close();
const GONE = 'socket has been disconnected';
const isSo = [`${GONE},${GONE}`, `${GONE},${GONE}`, 'nothing,nothing', 'nothing,operation has timed out'];
process.exit(all.join(';') === isSo.join(';') ? 0 : 1);
JS
node check.mjs
