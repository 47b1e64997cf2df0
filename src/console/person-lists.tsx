import type { PersonAnswer } from '../protocol/console.ts';
import { pathOf } from './ask.ts';
import { AskTwice } from './ask-twice.tsx';
import { useNow } from './hooks.ts';
import { clock, relative } from './words.ts';

type KnownOf<Name extends keyof PersonAnswer> = Extract<PersonAnswer[Name], { known: unknown }>['known'];

interface Ends {
  userId: string;
  writable: boolean;
  done: (said: string) => void;
}

/** The devices a person is here by, each with when it was heard of last. */
export function Sessions({ of, userId, writable, done }: Ends & { of: KnownOf<'sessions'> }) {
  const now = useNow();
  if (of.length === 0) return <p className="faint">No session.</p>;
  return (
    <ul className="cards">
      {of.map(({ sessionId, device, connectedAt, lastHeartbeat, state }) => (
        <li key={sessionId}>
          <div className="grow">
            <b>{device.name ?? device.kind}</b>{' '}
            <span className="faint">
              {device.kind}, <span className={state === 'active' ? 'good' : 'idle'}>{state}</span>
            </span>
            <p className="faint">
              heard of <b className="beat">{relative(lastHeartbeat, now)}</b> · here since {clock(connectedAt)}
            </p>
            <p className="faint">
              <code>{sessionId}</code>
            </p>
          </div>
          {writable && (
            <AskTwice
              act="Sign out"
              what={device.name ?? sessionId}
              path={pathOf('people', userId, 'sessions', sessionId)}
              done={done}
            >
              {userId} is signed out on {device.name ?? `this ${device.kind} device`} and has to sign in again there.
            </AskTwice>
          )}
        </li>
      ))}
    </ul>
  );
}

/** The rooms a person is in. */
export function Rooms({ of, userId, writable, done }: Ends & { of: KnownOf<'rooms'> }) {
  const now = useNow();
  if (of.length === 0) return <p className="faint">In no room.</p>;
  return (
    <ul className="cards">
      {of.map(({ roomId, since, sessionIds }) => (
        <li key={roomId}>
          <div className="grow">
            <b>{roomId}</b>
            <p className="faint">
              came {relative(since, now)}, by{' '}
              {sessionIds.length === 1 ? 'one session' : `${sessionIds.length} sessions`}
            </p>
          </div>
          {writable && (
            <AskTwice act="Take out" what={roomId} path={pathOf('people', userId, 'rooms', roomId)} done={done}>
              {userId} is taken out of {roomId}, on all devices, and may come again.
            </AskTwice>
          )}
        </li>
      ))}
    </ul>
  );
}

/** What each source says of a person. */
export function Sources({ of, userId, writable, done }: Ends & { of: KnownOf<'sources'> }) {
  if (of.length === 0) return <p className="faint">No source says anything.</p>;
  return (
    <ul className="cards">
      {of.map(({ source, availability, text, emoji, until, shown }) => (
        <li key={source}>
          <div className="grow">
            <b>{source}</b> {shown && <span className="badge">shown</span>}
            <p>{[emoji, availability, text].filter(Boolean).join(' · ')}</p>
            <p className="faint">{until ? `until ${clock(until)}` : 'until it says otherwise'}</p>
          </div>
          {writable && (
            <AskTwice act="End" what={source} path={pathOf('people', userId, 'sources', source)} done={done}>
              What {source} says of {userId} ends; the next source in order is shown, if there is one.
            </AskTwice>
          )}
        </li>
      ))}
    </ul>
  );
}
