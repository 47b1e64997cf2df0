#!/usr/bin/env bash
# The good guess: `npm sbom --omit=dev` lists what `npm ci --omit=dev` installs: every package that production needs.
# What is real (npm 11.19.0 and 11.21.2): it leaves out every package that a development dependency needs as well, at whatever depth,
# and also one that package.json itself names under `dependencies`. With `--package-lock-only` it is the same. The lock file knows
# better: none of those is marked `dev` in it, and they are installed. (npm/cli issue 7909, open.)
# Why it matters to a presence service: the bill of materials of its image is what a known hole is looked up in. Test tools share
# much with the service (a client that speaks the same protocol, the driver of the same database), and just that was not listed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir tool project
(cd tool && npm init -y >/dev/null && npm install --silent --no-audit --no-fund npm-a@npm:npm@11.19.0 npm-b@npm:npm@11.21.2)
cat >check.mjs <<'JS'
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

const EXPECTED = {
  // Nothing is shared.
  'once for production, nothing else': { dependencies: { once: '1.4.0' }, leftOut: [] },
  'debug for production, ms for development': {
    dependencies: { debug: '4.4.3' },
    devDependencies: { ms: '2.1.3' },
    leftOut: ['ms'],
  },
  'once for production, inflight, which needs once, for development': {
    dependencies: { once: '1.4.0' },
    devDependencies: { inflight: '1.0.6' },
    leftOut: ['once', 'wrappy'],
  },
};
let asKnown = true;
for (const folder of ['npm-a', 'npm-b']) {
  const npm = (...args) =>
    execFileSync(process.execPath, [`../tool/node_modules/${folder}/bin/npm-cli.js`, '--loglevel=error', ...args], {
      cwd: 'project',
      encoding: 'utf8',
    });
  console.log('npm', npm('--version').trim(), 'node', process.version);
  for (const [what, { leftOut, ...needs }] of Object.entries(EXPECTED)) {
    for (const name of ['node_modules', 'package-lock.json']) rmSync(`project/${name}`, { recursive: true, force: true });
    writeFileSync('project/package.json', JSON.stringify({ name: 'project', version: '1.0.0', ...needs }));
    npm('install', '--no-audit', '--no-fund', '--ignore-scripts');
    const { packages } = JSON.parse(readFileSync('project/package-lock.json', 'utf8'));
    const needed = Object.keys(packages).filter((path) => path !== '' && !packages[path].dev);
    const names = needed.map((path) => path.replace('node_modules/', '')).sort();
    for (const how of [[], ['--package-lock-only']]) {
      const bill = JSON.parse(npm('sbom', '--sbom-format=cyclonedx', '--omit=dev', ...how));
      const missing = names.filter((name) => !bill.components.some((component) => component.name === name));
      console.log(`${what}${how.map((flag) => ` (${flag})`)}: needs ${names}; left out: ${missing.join() || 'none'}`);
      asKnown &&= missing.join() === leftOut.join();
    }
  }
}
process.exit(asKnown ? 0 : 1);
JS
node check.mjs
