import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { usePresenceClient } from '../client/react.tsx';
import { usePresenceRoom } from '../client/react-rooms.tsx';
import { type RoomUser, type RoomView, type WatchedRoom, withRooms } from '../client/rooms.ts';
import { Avatar } from './icons.tsx';
import { displayName } from './names.ts';
import type { Rest, RoomCount } from './rest.ts';

const TITLES: Record<string, string> = {
  'doc:launch': 'Launch plan',
  'doc:budget': 'Budget',
  'doc:roadmap': 'Roadmap',
  'doc:minutes': 'Minutes of Monday',
  'doc:handbook': 'Handbook',
};
const PAGES = [1, 2, 3, 4];
const FACES = 5;
const LOOK_EVERY_MS = 5000;
const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

/** Documents, and who is in each: a room for each of them. */
export function Documents({ me, rest }: { me: string; rest: Rest }) {
  const [openedId, setOpened] = useState<string>();
  const fullest = useFullest(rest);
  return (
    <section className="panel documents" aria-labelledby="documents-title">
      <header>
        <h2 id="documents-title">Documents</h2>
        {fullest.length > 0 && (
          <span className="note">
            fullest: {fullest.map(({ roomId, count }) => `${TITLES[roomId] ?? roomId} (${count})`).join(', ')}
          </span>
        )}
      </header>
      <ul>
        {Object.keys(TITLES).map((roomId) => (
          <DocumentRow
            key={roomId}
            roomId={roomId}
            me={me}
            opened={roomId === openedId}
            onToggle={() => setOpened(roomId === openedId ? undefined : roomId)}
          />
        ))}
      </ul>
    </section>
  );
}

interface RowProps {
  roomId: string;
  me: string;
  opened: boolean;
  onToggle: () => void;
}

function DocumentRow({ roomId, me, opened, onToggle }: RowProps) {
  const { users, count } = useWatchedRoom(roomId);
  return (
    <li className={opened ? 'document open' : 'document'}>
      <button type="button" aria-expanded={opened} onClick={onToggle}>
        <span className="title">{TITLES[roomId]}</span>
        <Faces users={users} count={count ?? 0} />
        <span className="here">{count === undefined ? '…' : count === 0 ? 'nobody' : `${count} here`}</span>
      </button>
      {opened && <Readers roomId={roomId} me={me} />}
    </li>
  );
}

/** Who came first lies on top. */
function Faces({ users, count }: { users: readonly RoomUser[]; count: number }) {
  const shown = users.slice(0, count > FACES ? FACES - 1 : FACES);
  const names = shown.map(({ userId }) => displayName(userId)).join(', ');
  return (
    <span className="faces" title={names}>
      {shown.map(({ userId }) => (
        <Avatar key={userId} userId={userId} small />
      ))}
      {count > shown.length && <span className="avatar small more">+{count - shown.length}</span>}
    </span>
  );
}

/** The document that is open: being here is all it takes to be shown to the others. */
function Readers({ roomId, me: myId }: { roomId: string; me: string }) {
  const [page, setPage] = useState(1);
  const { users, count, me, error } = usePresenceRoom(roomId, { data: { page } });
  return (
    <div className="readers">
      <fieldset className="tabs" aria-label="The page you read">
        {PAGES.map((one) => (
          <button key={one} type="button" aria-pressed={one === page} onClick={() => setPage(one)}>
            Page {one}
          </button>
        ))}
      </fieldset>
      <ol>
        {users.map(({ userId, since, data, idle }) => (
          <li key={userId}>
            <Avatar userId={userId} look={idle ? 'idle' : 'active'} small />
            <span className="who">
              <strong>{userId === myId ? 'You' : displayName(userId)}</strong>
              <span className="when">
                {[data?.page !== undefined && `page ${data.page}`, since && `since ${TIME.format(Date.parse(since))}`]
                  .filter(Boolean)
                  .join(', ')}
              </span>
            </span>
          </li>
        ))}
      </ol>
      {error && <p className="problem">{error.message}</p>}
      {count !== undefined && !me && !error && (
        <p className="pretends">You appear inactive: the others here don’t see you, and you are not counted.</p>
      )}
    </div>
  );
}

/** A room as it is looked at from outside. */
function useWatchedRoom(roomId: string): RoomView {
  const client = usePresenceClient();
  const store = useMemo(() => {
    const unknown: RoomView = { roomId, users: [], count: undefined, me: undefined, error: undefined };
    let watched: WatchedRoom | undefined;
    return {
      get: () => watched?.get() ?? unknown,
      subscribe(changed: () => void) {
        const mine = withRooms(client).watchRoom(roomId);
        const end = mine.subscribe(changed);
        watched = mine;
        return () => {
          end();
          mine.unwatch();
        };
      },
    };
  }, [client, roomId]);
  return useSyncExternalStore(store.subscribe, store.get);
}

/** Lists of rooms are for backends, so it is the demo's own that asks. */
function useFullest(rest: Rest): readonly RoomCount[] {
  const [fullest, setFullest] = useState<readonly RoomCount[]>([]);
  useEffect(() => {
    let current = true;
    async function look(): Promise<void> {
      if (document.hidden) return;
      const answer = await rest.fullest();
      if (current && answer) setFullest(answer.rooms);
    }
    void look();
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [rest]);
  return fullest;
}
