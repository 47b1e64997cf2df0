#!/usr/bin/env bash
# The good guess: taking a page offline by the DevTools (Playwright's `setOffline`) either does nothing to a WebSocket that is open, as it was for
# years, or cuts it.
# What is real (Chromium 156, playwright-core 1.65.1): neither. The socket stays open for both sides, and all is held: what the page sends, what it is
# sent, and the browser's answers to pings of the protocol. Once it is online again everything arrives, in order.
# Why it matters to a presence service: it is a good stand-in for a network that drops packets and a bad one for one that is switched off. A
# test that takes a page offline and sees it leave has seen the client act on the event `offline`, or a timeout of the server, and
# a heartbeat of before arrives when it is over.
# Needs chromium in the PATH.
set -euo pipefail
command -v chromium >/dev/null || { echo 'needs chromium in the PATH'; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund playwright-core@1.65.1 ws@8.23.0
cat >check.mjs <<'JS'
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { WebSocketServer } from 'ws';

const PAGE = `<script>
  const met = [];
  addEventListener('offline', () => met.push('offline'));
  const socket = new WebSocket('ws://' + location.host);
  for (const name of ['open', 'error', 'close']) socket.addEventListener(name, () => met.push(name));
  socket.onmessage = ({ data }) => met.push(data);
</script>`;
const heard = [];
let socket;
const http = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(PAGE));
new WebSocketServer({ server: http }).on('connection', (opened) => {
  socket = opened;
  for (const name of ['pong', 'close']) opened.on(name, () => heard.push(name));
  opened.on('message', (data) => heard.push(String(data)));
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const context = await chromium.launchPersistentContext(`${process.cwd()}/profile`, {
  executablePath: execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim(),
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
let isSo = false;
try {
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${http.address().port}`);
  await page.waitForFunction(() => met.includes('open'));
  const device = await context.newCDPSession(page);
  const { product } = await device.send('Browser.getVersion');
  const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
  console.log(product, version('playwright-core'), version('ws'), 'node', process.version);
  await context.setOffline(true);
  await page.waitForFunction(() => met.includes('offline'));
  socket.send('first to the page');
  socket.ping();
  socket.send('second to the page');
  await page.evaluate(() => {
    socket.send('first to the server');
    socket.send('second to the server');
  });
  await sleep(2000);
  const page1 = await page.evaluate(() => ({ met: met.join(', '), isOpen: socket.readyState === 1 }));
  const server1 = { heard: heard.join(', ') || 'nothing', isOpen: socket.readyState === 1 };
  console.log(`offline: the page met ${page1.met}, its socket is ${page1.isOpen ? 'open' : 'closed'}; the server heard ${server1.heard}, its socket is ${server1.isOpen ? 'open' : 'closed'}`);
  await context.setOffline(false);
  await page.waitForFunction(() => met.includes('second to the page'), null, { timeout: 10_000 }).catch(() => {});
  for (let n = 0; n < 100 && heard.length < 3; n++) await sleep(50);
  const page2 = await page.evaluate(() => met.join(', '));
  console.log(`online again: the page met ${page2}; the server heard ${heard.join(', ')}`);
  isSo =
    page1.met === 'open, offline' && page1.isOpen && server1.heard === 'nothing' && server1.isOpen &&
    page2 === 'open, offline, first to the page, second to the page' &&
    heard.filter((word) => word !== 'pong').join() === 'first to the server,second to the server' && heard.includes('pong');
} finally {
  await context.close();
}
process.exit(isSo ? 0 : 1);
JS
node check.mjs
