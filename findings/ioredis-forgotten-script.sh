#!/usr/bin/env bash
# The good guess: a command made by `defineCommand` is safe wherever it stands: where the server does not know the script any more it is sent whole,
# in a pipeline in its place, and in a `multi()` all is done or nothing.
# What is real (ioredis 6.0.0): only a command by itself. In a pipeline the script is sent again when the answers are in, so that it runs behind all
# that stands behind it; in a `multi()` it is not sent again: its place in the answer is a NOSCRIPT error, exec() resolves, and all else
# of the transaction has been done. Whether a server knows a script is remembered for each connection, so that a new one begins afresh.
# Why it matters to a presence service: its rules are scripts. Redis forgets them at SCRIPT FLUSH (some look after memory so), and later versions
# drop the least used of more than 500. A rule and the write that belongs to it then come in the wrong order, or the write alone.
# Needs redis-server in the PATH; starts one of its own on a free port of the loopback.
set -euo pipefail
command -v redis-server >/dev/null || { echo 'needs redis-server in the PATH'; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ioredis@6.0.0
cat >check.mjs <<'JS'
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';

const HOST = '127.0.0.1';
setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 30_000).unref();
const free = createServer();
const port = await new Promise((done) => free.listen(0, HOST, () => done(free.address().port)));
await new Promise((done) => free.close(done));
const server = spawn('redis-server', ['--port', port, '--bind', HOST, '--save', ''], { stdio: 'ignore' });
process.on('exit', () => server.kill('SIGKILL'));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
console.log('ioredis', JSON.parse(readFileSync('node_modules/ioredis/package.json', 'utf8')).version, 'node', process.version);
console.log(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).split(' sha')[0]);

const [client, other] = [0, 1].map(() => new Redis({ host: HOST, port }).on('error', () => {}));
client.defineCommand('statusOf', { numberOfKeys: 1, lua: 'return redis.call("GET", KEYS[1])' });
const said = ([error, value]) => (error ? error.message.split(' ')[0] : value);
/** What is answered where the server has forgotten the script, or not, since the connection used it; and the user's status afterwards. */
async function found(what, forgotten, ask) {
  await other.set('user', 'before');
  await client.statusOf('user');
  if (forgotten) await other.script('FLUSH');
  const answer = await ask();
  const after = await other.get('user');
  console.log(`${what}, ${forgotten ? 'forgotten' : 'known'}: answered ${answer.join(', ')}; then it is ${after}`);
  return [...answer, after].join();
}
const alone = async () => [await client.statusOf('user')];
const pipeline = async () => (await client.pipeline().statusOf('user').set('user', 'after').exec()).map(said);
const multi = async () => (await client.multi().statusOf('user').set('user', 'after').exec()).map(said);
const all = [];
for (const [what, ask] of [['alone', alone], ['status, then set, in a pipeline', pipeline], ['status, then set, in a multi', multi]]) {
  for (const forgotten of [false, true]) all.push(await found(what, forgotten, ask));
}
client.disconnect();
other.disconnect();
const isSo = [
  'before,before', 'before,before',
  'before,OK,after', 'after,OK,after',
  'before,OK,after', 'NOSCRIPT,OK,after',
];
process.exit(all.join(';') === isSo.join(';') ? 0 : 1);
JS
node check.mjs
