#!/usr/bin/env bash
# The good guess: `sio.connect(url)` and then `sio.wait()` is a whole program: wait() ends when the connection has ended for good, and not where
# the client comes back by itself ("use this function to block the main thread during the life of the connection").
# What is real (python-socketio 5.7.2, that of Debian 12): wait() looks one second after the connection was lost whether an attempt to come back
# is under way. Where the client is back by then it takes that for the end and returns, although all is well. By default the first
# attempt comes after 0.5 to 1.5 s, so that it happens at about every second short fault. (Mended for later versions: its pull request 1407.)
# Why it matters to a presence service: an agent on a host that says it is there by such a program does what comes behind wait() at a quick
# deploy of the server: says goodbye and ends with exit code 0, so that its host is shown as away, or connects again and is told that it is
# connected already.
set -euo pipefail
command -v apt-get >/dev/null && [ -x /usr/bin/python3 ] || { echo "needs Debian's apt-get and python3"; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# Not installed: only laid here.
apt-get download -q python3-socketio=5.7.2-2 python3-engineio=4.3.4-2 python3-bidict python3-requests python3-websocket python3-urllib3 \
  python3-chardet python3-charset-normalizer python3-idna python3-certifi python3-six >download.log 2>&1 || { cat download.log; exit 2; }
for package in *.deb; do dpkg -x "$package" python; done
npm init -y >/dev/null
npm install --silent --no-audit --no-fund socket.io@4.8.4
cat >client.py <<'PY'
import sys
import socketio

url, delay = sys.argv[1], float(sys.argv[2])
sio = socketio.Client(reconnection_delay=delay, reconnection_delay_max=delay, randomization_factor=0)


@sio.event
def connect():
    print('connected')


sio.connect(url, transports=['websocket'])
sio.wait()
print('wait() is over,', 'connected' if sio.connected else 'not connected')
PY
cat >check.mjs <<'JS'
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from 'socket.io';

const started = [];
process.on('exit', () => started.forEach((client) => client.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 55_000).unref();
const until = async (is) => {
  while (!is()) await sleep(20);
};
/** A client of Python's in a process of its own, and the lines that it has printed. */
function python(...args) {
  const env = { ...process.env, PYTHONPATH: 'python/usr/lib/python3/dist-packages' };
  const client = spawn('/usr/bin/python3', ['-u', 'client.py', ...args.map(String)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(client);
  const lines = [];
  createInterface(client.stdout).on('line', (line) => lines.push(line));
  client.on('exit', () => lines.push('(ended)'));
  return { lines, stop: () => client.kill('SIGKILL') };
}
/** A server on a free port. */
async function serve(admit, onConnection = () => {}) {
  const http = createServer();
  const io = new Server(http, { serveClient: false });
  io.use(admit);
  io.on('connection', onConnection);
  await new Promise((done) => http.listen(0, '127.0.0.1', done));
  return { io, url: `http://127.0.0.1:${http.address().port}` };
}
console.log('python-socketio', /^Version: (.*)/m.exec(readFileSync('python/usr/lib/python3/dist-packages/python_socketio-5.7.2.egg-info/PKG-INFO', 'utf8'))[1]);
console.log('socket.io', JSON.parse(readFileSync('node_modules/socket.io/package.json', 'utf8')).version, 'node', process.version);
/** What a client prints whose connection is cut once, and who comes back after so many seconds. */
async function found(delay) {
  let connections = 0;
  const { io, url } = await serve(
    (_socket, next) => next(),
    (socket) => {
      connections += 1;
      if (connections === 1) setTimeout(() => socket.conn.close(), 500);
    },
  );
  const client = python(url, delay);
  await until(() => connections === 2);
  await sleep(3000);
  const there = io.sockets.sockets.size;
  client.stop();
  await io.close();
  console.log(`comes back after ${delay} s: prints ${client.lines.join('; ')}; 3 s later ${there} connected`);
  return { lines: client.lines.join('; '), there };
}
const quick = await found(0.1);
const slow = await found(2);
const isSo =
  quick.lines.includes('wait() is over, connected') && quick.there === 1 && !slow.lines.includes('wait() is over') && slow.there === 1;
process.exit(isSo ? 0 : 1);
JS
node check.mjs
