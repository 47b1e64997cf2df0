import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestClient } from '../support/client.ts';
import { CALM, Deployment, eventually, Program, WebProgram } from '../support/deployment.ts';

let deployment: Deployment;
let people: Program;

beforeAll(async () => {
  deployment = await Deployment.start('people', { env: CALM });
  people = new Program('scripts/people/main.ts', { ...deployment.env, ROLLCALL_URL: deployment.url });
});
afterAll(async () => {
  await people.end();
  await deployment.stop();
});

/** How many people have come, as somebody who comes now is told. */
async function activePeople(since: number): Promise<number> {
  const observer = await TestClient.connect(deployment.url, 'observer');
  observer.leave();
  const others = (observer.ready?.users ?? []).filter(({ userId }) => userId !== 'observer');
  return others.filter(({ lastSeen }) => Date.parse(lastSeen ?? '') >= since).length;
}

test('simulated people come, outlive the server they were at, and come to the next', async () => {
  const first = Date.now();
  await eventually(
    () => activePeople(first),
    (count) => count >= 5,
    40_000,
  );
  const { port } = new URL(deployment.url);
  const web = deployment.web(0);
  web.kill('SIGKILL');
  await web.exited;
  const restartedAt = Date.now();
  const next = new WebProgram('src/web/main.ts', { ...deployment.env, PORT: port }, web.url);
  deployment.webs.push(next);
  await next.said(/"msg":"started"/);
  await eventually(
    () => activePeople(restartedAt),
    (count) => count >= 5,
    40_000,
  );
  expect(people.running).toBe(true);
});

test('asked to stop, they go without a complaint', async () => {
  people.kill('SIGTERM');
  expect(await people.exited).toEqual({ code: 0, signal: null });
  expect(people.lines).toEqual([]);
});
