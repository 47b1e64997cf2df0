import { createPresenceClient, type PresenceClient } from '../../../src/client/index.ts';

/** `/plain?server=…&user=…`: one client that is connected while the page is open. */
declare global {
  interface Window {
    client: PresenceClient;
    /** Timers of a hidden page are held back; this one shows it. */
    ticks: number;
    states: string[];
    /** What `onError` was told. */
    errors: string[];
  }
}

const parameters = new URLSearchParams(location.search);
const user = parameters.get('user') ?? '';
const client = createPresenceClient({
  url: parameters.get('server') ?? '',
  getToken: () => fetch(`/presence-token?user=${user}`, { method: 'POST' }).then((answer) => answer.text()),
});
client.connect();
window.client = client;
window.errors = [];
client.onError(({ code, message }) => window.errors.push(`${code}: ${message}`));
window.states = [];
client.connection.subscribe(() => window.states.push(client.connection.get().status));
window.ticks = 0;
setInterval(() => {
  window.ticks += 1;
}, 200);
