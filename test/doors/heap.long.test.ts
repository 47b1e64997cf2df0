import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually, type WebProgram } from '../support/deployment.ts';

let folder: string;
let rollcall: Deployment;
let web: WebProgram;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heap-'));
  rollcall = await Deployment.start('heap', { webs: 0, env: CALM });
  web = await rollcall.addWeb({ NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${folder}` });
});
afterAll(async () => {
  await rollcall?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What lives in the web's memory, as text. */
async function heap(): Promise<string> {
  web.kill('SIGUSR2');
  const dumped = async () => {
    const [file] = await readdir(folder);
    return file === undefined ? '' : await readFile(join(folder, file), 'utf8');
  };
  return await eventually(dumped, (text) => text.trimEnd().endsWith('}'), 20_000);
}

test('a dump of the memory of a web names those who are connected and holds none of their tokens, nor anything else that their requests said', async () => {
  const names = ['ada', 'bob', 'eve'].map((name) => `${name}-in-the-heap`);
  const tokens = await Promise.all(names.map((name) => tokenFor(name)));
  const said = names.map((name) => `${name}-${randomUUID()}`);
  const clients = await Promise.all(
    tokens.map((token, n) => {
      const extraHeaders = { 'x-said': said[n] ?? '' };
      return new TestClient(web.url, { token, watch: names }, { extraHeaders }).welcomed();
    }),
  );
  const text = await heap();
  expect(names.filter((name) => text.includes(name))).toEqual(names);
  expect(tokens.filter((token) => text.includes(token.split('.')[2] ?? token))).toEqual([]);
  expect(said.filter((words) => text.includes(words))).toEqual([]);
  for (const client of clients) client.leave();
});
