#!/usr/bin/env node
import { runCli } from './run.ts';

const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ending.abort());
// Whoever reads has seen enough: `rollcall tail | head`.
process.stdout.on('error', () => process.exit(0));

const code = await runCli(process.argv.slice(2), {
  env: process.env,
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  isTerminal: process.stdout.isTTY === true,
  signal: ending.signal,
});
process.exitCode = code;
