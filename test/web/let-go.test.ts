import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestClient } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { LOCK, samplesOf, total } from '../support/metrics.ts';

let rollcall: Deployment;
beforeAll(async () => {
  rollcall = await Deployment.start('let go', { env: { ...CALM, ...LOCK } });
});
afterAll(() => rollcall?.stop());

const open = async () => total(await samplesOf(rollcall.url), 'rollcall_connections');

test.each([
  ['the client leaves', async (client: TestClient) => client.leave()],
  ['its network is gone', async (client: TestClient) => client.socket.io.engine.close()],
  ['the server closes it', async (client: TestClient) => client.socket.emitWithAck('logout', {})],
])('nothing is kept of a connection that ends because %s', async (_, ends) => {
  const clients = await Promise.all(
    Array.from({ length: 5 }, (_, n) => TestClient.connect(rollcall.url, `goes-${n}`, { heartbeat: 'pong' })),
  );
  expect(await open()).toBe(5);
  for (const client of clients) {
    client.socket.io.reconnection(false);
    await ends(client);
  }
  await eventually(open, (count) => count === 0);
});
