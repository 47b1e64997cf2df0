#!/usr/bin/env bash
# The good guess: a pipeline is a light thing, a list of commands that share the methods of all pipelines, so that sending a single command
# by one costs little more than the command. Scripts told by `defineCommand` are known to the client, which is asked when one is called.
# What is real (ioredis 6.0.0): every `pipeline()` (and `multi()`) first copies two methods for each script that was ever defined on the client,
# and as many for the commands added by `addBuiltinCommand`, onto the new pipeline, and notes each script by its hash. It does so also where
# none of the scripts is called.
# Why it matters to a presence service: its rules are scripts, dozens of them, and what happens at each connect is sent in small pipelines.
# Making the pipeline is then dearer than all it sends.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ioredis@6.0.0
cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';

console.log('ioredis', JSON.parse(readFileSync('node_modules/ioredis/package.json', 'utf8')).version, 'node', process.version);
/** What a new pipeline of a client with so many scripts has by itself, and how long it takes to make one. No server is asked. */
function found(scripts) {
  const client = new Redis({ lazyConnect: true });
  for (let n = 0; n < scripts; n++) client.defineCommand(`rule${n}`, { numberOfKeys: 1, lua: `return ${n}` });
  const pipeline = client.pipeline();
  const own = Object.keys(pipeline).length;
  const multi = Object.keys(client.multi()).length;
  const noted = Object.keys(pipeline._shaToScript).length;
  const make = (times) => {
    for (let n = 0; n < times; n++) client.pipeline();
  };
  make(2000);
  const before = process.cpuUsage().user;
  make(5000);
  const each = (process.cpuUsage().user - before) / 5000;
  client.disconnect();
  return { own, multi, noted, each };
}
const all = new Map([0, 1, 40].map((scripts) => [scripts, found(scripts)]));
const none = all.get(0);
for (const [scripts, { own, noted, each }] of all) {
  console.log(`${scripts} scripts: a new pipeline has ${own} properties of its own, ${own - none.own} for scripts, and ${noted} notes; ${each.toFixed(1)} µs of CPU`);
}
const isSo = ([scripts, { own, multi, noted }]) =>
  own - none.own === 2 * scripts && multi - none.multi === 2 * scripts && noted === scripts;
process.exit([...all].every(isSo) ? 0 : 1);
JS
node check.mjs
