import { afterAll, beforeAll, test } from 'vitest';
import { createPresenceClient } from '../../src/client/index.ts';
import { tokenFor } from '../support/client.ts';
import { Deployment } from '../support/deployment.ts';
import { stressStartStop } from '../support/start-stop.ts';
import { until } from './world.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start('client start stop', { workers: 0 });
});
afterAll(() => deployment.stop());

const sockets = async () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;

function client() {
  const made = createPresenceClient({ url: deployment.url, getToken: () => tokenFor('ada') });
  made.onError(() => {});
  return made;
}

test('a client that is closed leaves nothing behind, however often it is connected and closed, and whenever', () =>
  stressStartStop(
    () => {
      const { connect, close } = client();
      return { start: () => void connect(), stop: () => close() };
    },
    { again: true, goodbye: true, others: [], outside: sockets },
  ));

test('a client that was let in, watches and says what its user does leaves nothing behind either', () =>
  stressStartStop(
    () => {
      const made = client();
      return {
        async start() {
          made.connect();
          made.watch(['bob'], () => {});
          await until(made.connection, ({ status }) => status === 'connected' || status === 'closed');
          made.setActivity('idle');
        },
        stop: () => made.close(),
      };
    },
    { again: true, goodbye: true, others: [], outside: sockets },
  ));
