import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { tokenFor } from '../support/client.ts';
import { JWT_SECRET } from '../support/deployment.ts';
import { secretsOf } from '../support/run-logs.ts';
import { temporaryRoom } from '../support/temporary.ts';

/** A run of its own whose one process says the text; what came of it. */
async function runThatSays(text: string): Promise<{ code: number; said: string }> {
  const room = await temporaryRoom('logs');
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/support/leaking/vitest.config.ts'];
  const run = promisify(execFile)(process.execPath, args, {
    env: { PATH: process.env.PATH, TMPDIR: room.path, SAYS: text },
  });
  const outcome = await run.then(
    ({ stdout, stderr }) => ({ code: 0, said: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ code, said: stdout + stderr }),
  );
  await room.remove();
  return outcome;
}

describe('a run in which a process says', () => {
  test('nothing of the kind passes', async () => {
    const { code, said } = await runThatSays('{"level":"info","msg":"started","req":{"url":"/users/ada"}}');
    expect(said).toContain('No token and no secret in 1 lines');
    expect(code).toBe(0);
  });

  const leaks: [string, () => Promise<string> | string][] = [
    ['a token', async () => `{"msg":"asked with ${await tokenFor('ada')}"}`],
    ['a password that it was given', () => '{"msg":"known-to-operators-only"}'],
    ['that password as a browser sends it', () => `{"said":"${btoa('admin:known-to-operators-only')}"}`],
    ['a header that carries one', () => '{"req":{"headers":{"authorization":"secret"}}}'],
    ['what a command was given', () => '{"err":{"command":{"name":"auth","args":["worker","short"]}}}'],
  ];
  test.each(leaks)('%s fails, though all its tests pass', async (_what, says) => {
    const { code, said } = await runThatSays(await says());
    expect(said).toMatch(/1 passed/);
    expect(said).toContain('Tokens or secrets in 1 lines of logs');
    expect(code).toBe(1);
  });
});

test('what counts as a secret is known from the settings of a process, in each way it may be written', () => {
  const found = secretsOf({
    JWT_SECRET,
    REDIS_URL: 'rediss://user:a-long-password@host:6379/0',
    DATABASE_URL: 'postgres://user:with%2Fa%22slash@host/db?sslkey=of-the-client',
    WEBHOOK_SECRET: 'of-the-webhooks-and-long',
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=of-the-collector,tenant=one',
    LOG_LEVEL: 'info',
  });
  expect(found).toEqual([
    JWT_SECRET,
    'a-long-password',
    'user:a-long-password@',
    btoa('user:a-long-password'),
    'with%2Fa%22slash',
    'user:with%2Fa%22slash@',
    'with/a"slash',
    'with/a\\"slash',
    btoa('user:with/a"slash'),
    'of-the-client',
    'of-the-webhooks-and-long',
    'of-the-collector',
  ]);
});

/** Those whose processes are no part of the service, or say a token because they are asked to. */
const NOT_KEPT: Record<string, string> = {
  'test/backend/agents.long.test.ts': 'agents, which are shown to be what the page has',
  'test/backend/package.long.test.ts': 'compilers, and runtimes of what they compiled',
  'test/browser/orphans.long.test.ts': 'only a browser, which knows no secrets',
  'test/browser/chromium.ts': 'a browser',
  'test/browser/firefox.ts': 'a browser',
  'test/browser/webkit.ts': 'a browser and what drives it',
  'test/browser/browsers-orphans.long.test.ts': 'only browsers',
  'test/browser/example.long.test.ts': 'a compiler',
  'test/client/last-release.long.test.ts': 'what unpacks an archive',
  'test/client/python-clients.long.test.ts': 'a client, which says what it was told',
  'test/processes/compiled.long.test.ts': 'has no settings, so that it knows no secrets',
  'test/processes/run-logs.long.test.ts': 'runs of tests',
  'test/processes/demo.long.test.ts': 'the demo prints a token for its visitor, by design',
  'test/processes/lifecycle.test.ts': 'knows no secrets',
  'test/postgres/migrate.long.test.ts': 'shown in full by the test itself',
  'test/setup/console-page.test.ts': 'a bundler',
  'test/testing/own-project.long.test.ts': 'a project of its own, which is shown tokens because the page asks for them',
  'test/setup/compose.test.ts': 'the script that makes passwords says nothing, and its output is looked at by the test',
  'test/setup/helm.long.test.ts': 'a renderer of templates',
  'test/setup/quickstart.long.test.ts':
    'what a reader of the page starts, who is shown tokens because the page asks for them',
  'test/setup/orphans.long.test.ts': 'keeps stores',
  'test/support/python-client.ts': 'a client, which says what it was told',
  'test/web/cluster-run.ts': 'knows no secrets',
  'test/web/rest-cluster.long.test.ts': 'knows no secrets',
};

test('whoever starts a process has what it says kept', async () => {
  const files = (await readdir('test', { recursive: true })).filter((name) => name.endsWith('.ts'));
  const missing: string[] = [];
  for (const name of files.map((file) => join('test', file))) {
    const text = await readFile(name, 'utf8');
    if (/node:child_process'/.test(text) && !/import type[^;]*child_process/.test(text) && !text.includes('keepLog(')) {
      if (!(name in NOT_KEPT)) missing.push(name);
    }
  }
  expect(missing).toEqual([]);
});
