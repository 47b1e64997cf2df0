#!/usr/bin/env bash
# The good guess: `jwtVerify` compares `exp` with the moment of the check, so that a token whose `exp` has a fraction of a second
# (RFC 7519 allows that: NumericDate may be a non-integer) is refused from that moment on.
# What is real (jose 6.2.18): the moment is floored to whole seconds before it is compared. A token with `exp` X.1 is taken until
# X + 1, nine tenths of a second too long, and `clockTolerance` does not change that.
# Why it matters to a presence service: it closes a connection by a timer when the token has ended. Where door and timer do not
# go by the same clock, a client comes in by the door, is closed by the timer, and comes back by the door, over and over.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund jose@6.2.18
cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { jwtVerify, SignJWT } from 'jose';

console.log('jose', JSON.parse(readFileSync('node_modules/jose/package.json', 'utf8')).version, 'node', process.version);
const key = new TextEncoder().encode('a secret of thirty-two bytes or more');
const second = 1_800_000_000;
const token = await new SignJWT({ sub: 'ada', exp: second + 0.1 }).setProtectedHeader({ alg: 'HS256' }).sign(key);
const taken = (at) =>
  jwtVerify(token, key, { currentDate: new Date(at * 1000) }).then(
    () => true,
    (error) => (error.code === 'ERR_JWT_EXPIRED' ? false : Promise.reject(error)),
  );
const found = {};
for (const after of [0, 0.2, 0.9, 1]) found[`exp ${second}.1, asked at ${second} + ${after}`] = await taken(second + after);
for (const [what, is] of Object.entries(found)) console.log(`${what}: ${is ? 'taken' : 'expired'}`);
process.exit(JSON.stringify(Object.values(found)) === '[true,true,true,false]' ? 0 : 1);
JS
node check.mjs
