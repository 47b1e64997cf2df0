import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { createPresenceClient, type PresenceClient } from '../../../src/client/index.ts';
import {
  PresenceProvider,
  useConnectionState,
  useDevices,
  useIndicators,
  useMyPresence,
  usePresence,
  usePresences,
  usePrivacy,
} from '../../../src/client/react.tsx';
import { usePresenceRoom, useRoomCount } from '../../../src/client/react-rooms.tsx';
import { withSocial } from '../../../src/client/social.ts';

/**
 * `/strict?server=…&user=…`: all hooks under StrictMode, mounted and unmounted by a button; `&room=…`: in that room, too; `&about=…`: with
 * what is asked for by HTTP, that user's devices among it.
 */
declare global {
  interface Window {
    strictClient: PresenceClient;
    /** How often each component has rendered. */
    renders: Record<string, number>;
  }
}

const parameters = new URLSearchParams(location.search);
const user = parameters.get('user') ?? '';
const about = parameters.get('about');
const options = {
  url: parameters.get('server') ?? '',
  getToken: () => fetch(`/presence-token?user=${user}`, { method: 'POST' }).then((answer) => answer.text()),
};
const plain = createPresenceClient(options);
const client = about ? withSocial(plain, options) : plain;
client.onError(() => {});
window.strictClient = client;
window.renders = {};
const friends = ['friend-a', 'friend-b', 'friend-c'];

function count(name: string): void {
  window.renders[name] = (window.renders[name] ?? 0) + 1;
}

function Friend({ userId }: { userId: string }) {
  count(userId);
  return <li id={userId}>{usePresence(userId).status}</li>;
}

function Everybody() {
  count('everybody');
  return <p id="everybody">{usePresences([...friends]).map(({ status }) => `${status} `)}</p>;
}

function Me() {
  const { status, setStatus } = useMyPresence();
  const connection = useConnectionState();
  const typing = useIndicators('a-conversation');
  return (
    <p>
      <span id="me">{status}</span> <span id="connection">{connection.status}</span> {typing.length}
      <button type="button" id="hide" onClick={() => void setStatus('inactive')}>
        Appear inactive
      </button>
    </p>
  );
}

const show = (known: readonly string[] | undefined) => (known ? known.join(', ') || 'none' : 'unknown');

function Asked({ userId }: { userId: string }) {
  const { sources, setDetail } = useMyPresence();
  const devices = useDevices(userId);
  const { settings, blocks, change, block, unblock } = usePrivacy();
  return (
    <p>
      <span id="sources">{show(sources?.map(({ source, text }) => `${source} ${text}`))}</span>
      <span id="devices">{show(devices?.map(({ kind, state }) => `${kind} ${state}`))}</span>
      <span id="last-seen-for">{settings?.lastSeenVisibility}</span>
      <span id="blocks">{show(blocks)}</span>
      <button type="button" id="say" onClick={() => void setDetail({ text: 'Lunch' })}>
        Lunch
      </button>
      <button type="button" id="last-seen-for-nobody" onClick={() => void change({ lastSeenVisibility: 'nobody' })}>
        Hide the last seen
      </button>
      <button type="button" id="block" onClick={() => void (blocks?.length ? unblock(userId) : block(userId))}>
        Block or unblock
      </button>
    </p>
  );
}

function Room({ roomId }: { roomId: string }) {
  count('room');
  const [line, setLine] = useState(1);
  const { users, count: here, me } = usePresenceRoom(roomId, { data: { line } });
  return (
    <p>
      <span id="here">{users.map(({ userId, data }) => `${userId} ${data?.line}`).join(', ')}</span>
      <span id="here-count">{here}</span>
      <span id="here-me">{me?.userId}</span>
      <button type="button" id="next-line" onClick={() => setLine(line + 1)}>
        Next line
      </button>
    </p>
  );
}

function Counted({ roomId }: { roomId: string }) {
  count('counted');
  return <p id="counted">{useRoomCount(roomId)}</p>;
}

function Page() {
  const roomId = parameters.get('room');
  const [inRoom, setInRoom] = useState(true);
  const [shown, setShown] = useState(true);
  return (
    <>
      <button type="button" id="toggle" onClick={() => setShown(!shown)}>
        Mount or unmount
      </button>
      {shown && (
        <PresenceProvider client={client}>
          <Me />
          <Everybody />
          {about && <Asked userId={about} />}
          {roomId && (
            <>
              <button type="button" id="toggle-room" onClick={() => setInRoom(!inRoom)}>
                Come or go
              </button>
              {inRoom && <Room roomId={roomId} />}
              <Counted roomId={roomId} />
            </>
          )}
          <ul>
            {Array.from({ length: 20 }, (_, n) => (
              // Twenty components, three users.
              <Friend key={`row ${n + 1}`} userId={friends[n % 3] ?? ''} />
            ))}
          </ul>
        </PresenceProvider>
      )}
    </>
  );
}

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Page />
    </StrictMode>,
  );
}
