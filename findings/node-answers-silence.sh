#!/usr/bin/env bash
# The good guess: a connection on which nothing was ever sent is closed by Node's HTTP server without a word once it has waited for as
# long as `headersTimeout` allows, as it closes one that is kept alive after an answer.
# What is real (Node 24.21.0): it is answered, with 408 by default; and a listener for `clientError` hears of it as of any request that
# was too slow, so that an answer of its own goes out to nobody's question as well. One that is kept alive and idle is closed silently.
# Why it matters to a presence service: browsers open connections ahead of what they will ask. A request that leaves at that moment takes
# the answer to nothing for its own, and is not sent again as it would be over a connection that just closed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund node@24.21.0
cat >check.mjs <<'JS'
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 30_000).unref();
console.log('node', process.version);
const options = { headersTimeout: 500, requestTimeout: 1000, keepAliveTimeout: 500, connectionsCheckingInterval: 100 };

/** What two connections hear until they are closed: one that says nothing, and one that asked once. */
async function heard(listen) {
  const codes = [];
  const server = createServer(options, (_request, response) => response.end('ok'));
  if (listen) {
    server.on('clientError', (error, socket) => {
      codes.push(`${error.code}, ${socket.bytesRead} bytes read`);
      socket.end('an answer of its own');
    });
  }
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  const [silent, asks] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
  asks.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
  const [silence, answer] = await Promise.all([text(silent), text(asks)]);
  await new Promise((done) => server.close(done));
  return { silence: silence.split('\r\n')[0], answers: answer.match(/HTTP\/1\.1 \d+/g), codes };
}
const plain = await heard(false);
const own = await heard(true);
console.log('by default the silent one hears:', plain.silence, '| the one that asked once hears:', plain.answers.join());
console.log('with a listener for clientError:', own.codes.join('; '), '| the silent one hears:', own.silence);
const isSo =
  plain.silence === 'HTTP/1.1 408 Request Timeout' &&
  plain.answers.join() === 'HTTP/1.1 200' &&
  own.codes.join() === 'ERR_HTTP_REQUEST_TIMEOUT, 0 bytes read' &&
  own.silence === 'an answer of its own';
process.exit(isSo ? 0 : 1);
JS
./node_modules/node/bin/node check.mjs
