#!/usr/bin/env bash
# The good guess: a page with an open WebSocket is not kept in the back/forward cache, so that the socket ends with the page when its reader
# goes to another; or, as was announced for newer versions ("disconnect WebSockets on BFCache entry"), it is kept and its socket closed then.
# What is real (Chromium 156): the page is kept and frozen, and its socket stays open. It takes what it is sent, and the browser answers pings of
# the WebSocket protocol. Only when the reader comes back to the page the server is told goodbye (1001), and the page `error` and `close`.
# Why it matters to a presence service: the reader has left, and by the connection and its pings is here still. Only the page's own
# word (a goodbye at `pagehide`, an answer to a message) tells, and a goodbye at `close` comes when the reader has just come back.
# Needs chromium in the PATH. No DevTools take part.
set -euo pipefail
command -v chromium >/dev/null || { echo 'needs chromium in the PATH'; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ws@8.23.0
cat >check.mjs <<'JS'
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';

const AWAY_MS = 5000;
const FLAGS = '--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run';
/** The first page opens a socket and leaves once that is open; the other goes back; the first then tells what it met. */
const PAGES = {
  '/': `<script>
    const met = [];
    addEventListener('pageshow', ({ persisted }) => {
      if (persisted) setTimeout(() => fetch('/met', { method: 'POST', body: met.join(', ') }), 1000);
    });
    addEventListener('pagehide', ({ persisted }) => met.push(persisted ? 'kept' : 'not kept'));
    for (const name of ['freeze', 'resume']) document.addEventListener(name, () => met.push(name));
    const socket = new WebSocket('ws://' + location.host);
    socket.onmessage = () => met.push('message');
    socket.onerror = () => met.push('error');
    socket.onclose = ({ code }) => met.push('close ' + code);
    addEventListener('load', () => setTimeout(() => { location.href = '/other' }, 1000));
  </script>`,
  '/other': `<script>addEventListener('load', () => setTimeout(() => history.back(), ${AWAY_MS}))</script>`,
};
const heard = [];
let socket;
const http = createServer(async (request, response) => {
  if (request.url === '/met') http.emit('met', await text(request));
  if (request.url === '/other') {
    heard.push('the other page is asked for');
    setTimeout(() => {
      socket.send('to whom?');
      socket.ping();
    }, AWAY_MS / 2);
  }
  if (request.url === '/' && heard.length > 0) heard.push('the first page is asked for again');
  response.setHeader('content-type', 'text/html').end(PAGES[request.url] ?? '');
});
new WebSocketServer({ server: http }).on('connection', (opened) => {
  socket ??= opened;
  heard.push('a socket opens');
  opened.on('pong', () => heard.push('a pong'));
  opened.on('close', (code) => heard.push(`close ${code}`));
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');
console.log(execFileSync('chromium', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim(), 'ws', JSON.parse(readFileSync('node_modules/ws/package.json', 'utf8')).version);
const args = [...FLAGS.split(' '), `--user-data-dir=${process.cwd()}/profile`, `http://127.0.0.1:${http.address().port}/`];
const browser = spawn('chromium', args, { stdio: 'ignore', detached: true });
// With the processes that it started.
const end = () => {
  try {
    process.kill(-browser.pid, 'SIGKILL');
  } catch {}
};
process.on('exit', end);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
const met = await Promise.race([once(http, 'met').then(([all]) => all), sleep(45_000, 'nothing: it was not kept')]);
console.log('the server heard:', heard.join(', '));
console.log('the page met:', met);
end();
await Promise.race([once(browser, 'exit'), sleep(5000)]);
const isSo = heard.join() === 'a socket opens,the other page is asked for,a pong,close 1001' && met === 'kept, freeze, resume, error, close 1006';
process.exit(isSo ? 0 : 1);
JS
node check.mjs
