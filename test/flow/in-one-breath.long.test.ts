import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestClient } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';

let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('in-one-breath', { env: { ...CALM, MAX_WATCHED_USERS: '1' } });
});
afterAll(() => rollcall?.stop());

// So often that the share of the limits that the process lets through on its own is used up, and it has to ask.
test('what a client says without waiting for answers is done in that order: one user let go makes room for the next', async () => {
  for (let n = 0; n < 5; n += 1) {
    const client = await TestClient.connect(rollcall.url, `restless-${n}`, { watch: ['passer-by-0'] });
    const watches: Promise<{ ok: boolean }>[] = [];
    for (let m = 0; m < 450; m += 1) {
      client.socket.emit('unwatch', { userIds: [`passer-by-${m}`] }, () => {});
      watches.push(client.socket.emitWithAck('watch', { userIds: [`passer-by-${m + 1}`] }));
    }
    const answers = await Promise.all(watches);
    expect(answers.find(({ ok }) => !ok)).toBeUndefined();
    client.leave();
  }
});
