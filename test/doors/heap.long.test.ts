import { randomUUID } from 'node:crypto';
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
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

/** The last characters of a file. */
async function endOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, Math.max(0, size - 16));
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** What lives in the web's memory, as text. */
async function heap(): Promise<string> {
  web.kill('SIGUSR2');
  const [name = ''] = await eventually(
    () => readdir(folder),
    (names) => names.length > 0,
    20_000,
  );
  const path = join(folder, name);
  // It takes its time to be written, and what stands in it may end in a brace anywhere: the list of texts is closed last of all.
  await eventually(
    () => endOf(path),
    (end) => /"\s*\]\s*\}\s*$/.test(end),
    60_000,
  );
  return await readFile(path, 'utf8');
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
