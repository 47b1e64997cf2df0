#!/usr/bin/env bash
# The good guess: what is told to `@fastify/helmet` when it is registered is read and made into headers then; a request only has them set, and
# a configuration that is wrong is refused at the start.
# What is real (@fastify/helmet 13.2.0, helmet 8.3.0): nothing is read at the registration. For every request all options are read again, the
# policy is put together and checked anew and a chain of handlers is made. A policy that cannot be put together lets the service start and
# be ready, and then every request fails with 500. helmet by itself reads its options once and refuses the wrong ones at once.
# Why it matters to a presence service: it answers many small requests, of which this is a part that never changes; and a mistake in
# a setting should keep a new version from starting, not be found by its users.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @fastify/helmet@13.2.0 fastify@5.12.8 helmet@8.3.0
cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { IncomingMessage, ServerResponse } from 'node:http';
import fastifyHelmet from '@fastify/helmet';
import fastify from 'fastify';
import helmet from 'helmet';

setTimeout(() => {
  console.log('took too long');
  process.exit(1);
}, 30_000).unref();
const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(version('@fastify/helmet'), version('helmet'), version('fastify'), 'node', process.version);

let read = 0;
const options = () => ({
  contentSecurityPolicy: {
    directives: {
      get imgSrc() {
        read += 1;
        return ["'self'", 'https://pictures.example'];
      },
    },
  },
});
/** How often the policy is read at the beginning and by ten requests. */
async function counted(begin) {
  read = 0;
  const request = await begin();
  const atBegin = read;
  for (let n = 0; n < 10; n++) await request();
  return { atBegin, byTen: read - atBegin };
}
const app = async (told) => {
  const made = fastify();
  await made.register(fastifyHelmet, told);
  made.get('/', async () => 'ok');
  await made.ready();
  return made;
};
const plugin = await counted(async () => {
  const made = await app(options());
  return () => made.inject('/');
});
const alone = await counted(async () => {
  const handler = helmet(options());
  return async () => {
    const request = new IncomingMessage(null);
    handler(request, new ServerResponse(request), () => {});
  };
});
console.log(`@fastify/helmet: the policy is read ${plugin.atBegin} times until the service is ready, ${plugin.byTen} times by ten requests`);
console.log(`helmet alone: read ${alone.atBegin} time when it is made, ${alone.byTen} times by ten requests`);

const wrong = { contentSecurityPolicy: { directives: { imgSrc: ['self'] } } };
const started = await app(wrong).then((made) => made, () => null);
const answer = started && (await started.inject('/'));
console.log(`a policy that is wrong: @fastify/helmet ${started ? 'is ready' : 'refuses'}, a request is answered ${answer?.statusCode}: ${answer?.json().message}`);
let refused = null;
try {
  helmet(wrong);
} catch (error) {
  refused = error;
}
console.log(`helmet alone: ${refused ? `refuses: ${refused.message}` : 'takes it'}`);
process.exit(plugin.atBegin === 0 && plugin.byTen >= 10 && alone.atBegin === 1 && alone.byTen === 0 && answer?.statusCode === 500 && refused ? 0 : 1);
JS
node check.mjs
