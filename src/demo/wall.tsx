import { memo, useDeferredValue, useEffect, useRef, useState } from 'react';
import { formatLastSeen } from '../client/index.ts';
import { useNow } from './clock.ts';
import { Avatar, DeviceIcon } from './icons.tsx';
import { displayName } from './names.ts';
import type { Person } from './people.ts';

const FILTERS = { all: 'Everybody', active: 'Active', inactive: 'Away' } as const;
type Filter = keyof typeof FILTERS;

export function Wall({ people }: { people: readonly Person[] }) {
  const [filter, setFilter] = useState<Filter>('all');
  const [text, setText] = useState('');
  const wanted = useDeferredValue(text.trim().toLowerCase());
  const now = useNow(5000);
  const field = useRef<HTMLInputElement>(null);
  useSlashKey(field);
  const shown = people.filter(
    (person) =>
      (filter === 'all' || (person.status === 'active') === (filter === 'active')) &&
      displayName(person.userId).toLowerCase().includes(wanted),
  );
  return (
    <section className="panel wall" aria-labelledby="wall-title">
      <header>
        <h2 id="wall-title">People</h2>
        <fieldset className="tabs" aria-label="Show">
          {(Object.keys(FILTERS) as Filter[]).map((key) => (
            <button key={key} type="button" aria-pressed={filter === key} onClick={() => setFilter(key)}>
              {FILTERS[key]}
            </button>
          ))}
        </fieldset>
        <label className="search">
          <span className="hidden">Find somebody</span>
          <input
            ref={field}
            type="search"
            placeholder="Find somebody"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </label>
      </header>
      {shown.length > 0 ? (
        <ul>
          {shown.map((person) => (
            <PersonCard key={person.userId} person={person} now={now} />
          ))}
        </ul>
      ) : (
        <p className="empty">{people.length > 0 ? 'Nobody like that.' : <Alone />}</p>
      )}
    </section>
  );
}

function Alone() {
  return (
    <>
      Nobody else is here yet. Open a second tab as somebody else, or start the demo with company:{' '}
      <code>npm run demo -- --people 50</code>
    </>
  );
}

const PersonCard = memo(function PersonCard({ person, now }: { person: Person; now: number }) {
  const { userId, status, lastSeen, detail, devices } = person;
  const isIdle = status === 'active' && devices.length > 0 && devices.every((device) => device.state === 'idle');
  const isBusy = status === 'active' && detail.availability === 'busy';
  const look = status !== 'active' ? 'inactive' : isBusy ? 'busy' : isIdle ? 'idle' : 'active';
  return (
    <li className={`person ${look}`}>
      <Avatar userId={userId} look={look} />
      <div className="who">
        <strong className="name">{displayName(userId)}</strong>
        <span className="when">{sentence(look, lastSeen, now)}</span>
        {(detail.text || detail.emoji) && (
          <span className="detail">
            {detail.emoji} {detail.text}
          </span>
        )}
      </div>
      <span className="devices">
        {devices.map((device) => (
          <DeviceIcon key={device.key} kind={device.kind} faint={device.state === 'idle'} />
        ))}
      </span>
    </li>
  );
});

function sentence(look: 'active' | 'idle' | 'busy' | 'inactive', lastSeen: string | null, now: number): string {
  if (look === 'idle') return 'idle';
  if (look === 'busy') return 'busy';
  if (look === 'active') return 'active now';
  if (lastSeen === null) return 'away';
  return now - Date.parse(lastSeen) < 60_000 ? 'just left' : `last seen ${formatLastSeen(lastSeen, now, 'en')}`;
}

/** As in many places: "/" goes to the search. */
function useSlashKey(field: React.RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    function onKey(event: KeyboardEvent): void {
      const target = event.target as HTMLElement;
      if (event.key !== '/' || target.closest('input, textarea, select')) return;
      event.preventDefault();
      field.current?.focus();
    }
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [field]);
}
