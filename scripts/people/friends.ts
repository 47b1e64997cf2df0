import { createPresenceClient } from '../../src/client/index.ts';
import { demoToken } from '../demo-token.ts';

const MOST_FRIENDS = 3;

interface Options {
  url: string;
  secret: string;
  people: readonly string[];
}

/**
 * Gives whoever signs in at the demo page some friends among the simulated people, and has them told whenever one of
 * these comes, so that there is something to see. Once for each user, and not where there are friends already.
 * The returned function ends it.
 */
export function findFriends({ url, secret, people }: Options): () => void {
  const getToken = () => demoToken(secret, 'demo-host', { scope: 'presence:read presence:write' });
  const known = new Set(people);
  // A service: it sees everybody and is seen by nobody.
  const observer = createPresenceClient({ url, getToken, audience: 'everyone' });
  observer.onError(() => {});

  async function ask(method: string, path: string, body?: object): Promise<Response> {
    const headers = { authorization: `Bearer ${await getToken()}`, 'content-type': 'application/json' };
    const answer = await fetch(new URL(path, url), { method, headers, ...(body && { body: JSON.stringify(body) }) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`);
    return answer;
  }

  async function befriend(userId: string): Promise<void> {
    const own = `/users/${encodeURIComponent(userId)}/friends`;
    const { friends } = await (await ask('GET', own)).json();
    if (friends.length > 0) return;
    for (const friendId of people.slice(0, MOST_FRIENDS)) {
      await ask('PUT', `${own}/${encodeURIComponent(friendId)}`);
      await ask('PATCH', `${own}/${encodeURIComponent(friendId)}`, { alert: 'always' });
    }
  }

  const stop = observer.everyone.subscribe(() => {
    for (const { userId, status } of observer.everyone.get()) {
      if (status !== 'active' || known.has(userId)) continue;
      known.add(userId);
      // The server may be restarting: then the user is met again.
      befriend(userId).catch(() => known.delete(userId));
    }
  });
  observer.connect();
  return () => {
    stop();
    observer.close();
  };
}
