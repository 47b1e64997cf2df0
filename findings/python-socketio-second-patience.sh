#!/usr/bin/env bash
# The good guess: `sio.connect(url, wait_timeout=10)` says how long the client waits for the server to let it in, whenever it connects.
# What is real (python-socketio 5.7.2, that of Debian 12): that holds for the first time only. When it comes back by itself the client waits for
# one second, the default, then closes the connection and tries again after a pause. Where the server needs longer it never comes
# back, and what it is told at its first connection does not help.
# Why it matters to a presence service: just when thousands come back at once letting them in takes longer than a second. Such clients
# then throw away what the server has done for them, and begin again, as long as it is that busy.
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

sio = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.1, randomization_factor=0)


@sio.event
def connect():
    print('connected')


sio.connect(sys.argv[1], wait_timeout=10, transports=['websocket'])
sio.wait()
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
/** How often a client whose connection is cut once asks to be let in again, and is; each time it takes so long. */
async function found(takesMs, enough) {
  let [asked, connections] = [0, 0];
  const { io, url } = await serve(
    (_socket, next) => {
      asked += 1;
      setTimeout(next, takesMs);
    },
    (socket) => {
      connections += 1;
      if (connections === 1) setTimeout(() => socket.conn.close(), 200);
    },
  );
  const client = python(url);
  await until(() => enough(asked, connections));
  client.stop();
  await io.close();
  console.log(`where it takes ${takesMs} ms to be let in: asked ${asked} times, let in and there ${connections} times`);
  return { asked, connections };
}
const quick = await found(0, (_asked, connections) => connections === 2);
const slow = await found(2000, (asked, connections) => asked === 5 || connections === 2);
process.exit(quick.connections === 2 && slow.connections === 1 && slow.asked === 5 ? 0 : 1);
JS
node check.mjs
