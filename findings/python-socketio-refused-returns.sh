#!/usr/bin/env bash
# The good guess: a client that comes back and is refused by a middleware of the server (its token has ended) stays away, as the
# client in JavaScript does, until its program connects again; a `connect_error` is the end.
# What is real (python-socketio 5.7.2, that of Debian 12): only the first `connect()` ends so, with an exception. A client that was connected once
# asks again and again, for ever by default, however often it is refused, and tells its program `connect_error` each time.
# Why it matters to a presence service: tokens end while clients are away. Each such client then stands before the door every few seconds for
# as long as its process lives, and the server checks the same dead token each time; a limit of attempts has to be the server's.
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
npm install --silent --no-audit --no-fund socket.io@4.8.4 socket.io-client@4.8.4
cat >client.py <<'PY'
import sys
import socketio

sio = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.1, randomization_factor=0)


@sio.event
def connect_error(data):
    print('connect_error', data['message'])


sio.connect(sys.argv[1], transports=['websocket'])
sio.wait()
PY
cat >check.mjs <<'JS'
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from 'socket.io';
import { io as connect } from 'socket.io-client';

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
/** How often a client asks that is let in once, is cut off and then refused, until `enough` says so. */
async function found(what, start, enough) {
  let asked = 0;
  const { io, url } = await serve(
    (_socket, next) => {
      asked += 1;
      next(asked === 1 ? undefined : new Error('the token has ended'));
    },
    (socket) => setTimeout(() => socket.conn.close(), 200),
  );
  const client = start(url);
  await until(() => asked >= 2);
  await Promise.race([sleep(5000), until(() => enough(asked))]);
  client.stop();
  await io.close();
  console.log(`${what}: asked ${asked} times, refused ${asked - 1} times; ${client.lines.join('; ')}`);
  return asked;
}
const javascript = await found(
  'socket.io-client',
  (url) => {
    const lines = [];
    const socket = connect(url, { transports: ['websocket'], reconnectionDelay: 100, reconnectionDelayMax: 100 });
    socket.on('connect_error', (error) => lines.push(`connect_error ${error.message}`));
    return { lines, stop: () => socket.disconnect() };
  },
  () => false,
);
const other = await found('python-socketio', python, (asked) => asked === 5);
process.exit(javascript === 2 && other === 5 ? 0 : 1);
JS
node check.mjs
