#!/usr/bin/env node
// `npx rollcall` in this folder; what it does stands in src/cli. On an older Node it is started with the project's own.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join('src', 'cli', 'main.ts');

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(join(root, main));
} else {
  const child = spawn(process.execPath, [join(root, 'scripts', 'setup.mjs'), main, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
