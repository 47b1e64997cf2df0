import { parseArgs } from 'node:util';
import { layCable } from '../../test/support/cable.ts';
import { demoToken } from '../demo-token.ts';
import { stopSignal } from '../stop-signals.ts';
import { findFriends } from './friends.ts';
import { peopleIds } from './names.ts';
import { LOBBY, live } from './person.ts';

/**
 * Simulated people for a server at ROLLCALL_URL whose JWT_SECRET is known:
 * `node scripts/people/main.ts --people 50`. Real clients with tokens of their own, coming over a network that fails
 * them now and then. The server may restart under them.
 */
const MOST_PEOPLE = 2000;

const { values } = parseArgs({ options: { people: { type: 'string', default: '20' } } });
const count = Number(values.people);
const { ROLLCALL_URL: url, JWT_SECRET: secret } = process.env;
if (!Number.isInteger(count) || count < 1 || count > MOST_PEOPLE || !url?.startsWith('http://') || !secret) {
  console.error(
    `Usage: ROLLCALL_URL=http://… JWT_SECRET=… node scripts/people/main.ts --people N (1 to ${MOST_PEOPLE})`,
  );
  process.exit(1);
}

const stopping = stopSignal();
const stop = new AbortController();
const cable = await layCable(url);
const getToken = (userId: string) => demoToken(secret, userId, { name: nameOf(userId), rooms: ['doc:*'] });
await Promise.all(peopleIds(count).map(letIntoLobby));
const lives = peopleIds(count).map((userId) => live(userId, { cable, getToken, signal: stop.signal }));
const endFriends = findFriends({ url, secret, people: peopleIds(count) });

await Promise.race([stopping, Promise.all(lives)]);
endFriends();
stop.abort();
await Promise.all(lives);
// The goodbyes are on their way; they need no answer.
await cable.close();
process.exit();

function nameOf(userId: string): string {
  return userId
    .split('.')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ');
}

/** What a host application does: it says who may join a conversation. */
async function letIntoLobby(userId: string): Promise<void> {
  const token = await demoToken(secret ?? '', 'demo-host', { scope: 'presence:write' });
  const address = new URL(`/conversations/${LOBBY}/members/${encodeURIComponent(userId)}`, url);
  const answer = await fetch(address, { method: 'PUT', headers: { authorization: `Bearer ${token}` } });
  if (!answer.ok) console.error(`${userId} was not let into the lobby: ${answer.status}`);
}
