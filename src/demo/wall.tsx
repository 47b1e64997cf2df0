import { memo, useDeferredValue, useEffect, useRef, useState } from 'react';
import { formatLastSeen } from '../client/index.ts';
import type { FriendAlert, SocialClient } from '../client/social.ts';
import { useNow } from './clock.ts';
import { Avatar, DeviceIcon, Mark, Sign } from './icons.tsx';
import { displayName } from './names.ts';
import type { Person } from './people.ts';
import { PersonPanel } from './person-panel.tsx';
import type { Rest } from './rest.ts';
import type { Social } from './social.ts';

const FILTERS = { all: 'Everybody', active: 'Active', inactive: 'Away', friends: 'Friends' } as const;
type Filter = keyof typeof FILTERS;

interface WallProps {
  people: readonly Person[];
  client: SocialClient;
  social: Social;
  rest: Rest;
}

/** Everybody the page has heard of, as the user sees them. */
export function Wall({ people, client, social, rest }: WallProps) {
  const [filter, setFilter] = useState<Filter>('all');
  const [text, setText] = useState('');
  const wanted = useDeferredValue(text.trim().toLowerCase());
  const now = useNow(5000);
  const [openedId, setOpened] = useState<string>();
  const opened = people.find((person) => person.userId === openedId);
  const field = useRef<HTMLInputElement>(null);
  useSlashKey(field);
  const shown = people.filter(
    (person) => passes(person, filter, social) && displayName(person.userId).toLowerCase().includes(wanted),
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
            <PersonCard
              key={person.userId}
              person={person}
              now={now}
              alert={social.friends.get(person.userId)?.alert}
              blocked={social.blocks.has(person.userId)}
              onOpen={setOpened}
            />
          ))}
        </ul>
      ) : (
        <p className="empty">{people.length > 0 ? 'Nobody like that.' : <Alone />}</p>
      )}
      {opened && (
        <PersonPanel
          {...shownAs(opened, social.blocks.has(opened.userId), now)}
          key={opened.userId}
          userId={opened.userId}
          client={client}
          social={social}
          rest={rest}
          onClose={() => setOpened(undefined)}
        />
      )}
    </section>
  );
}

function passes({ userId, status }: Person, filter: Filter, { friends }: Social): boolean {
  if (filter === 'friends') return friends.has(userId);
  return filter === 'all' || (status === 'active') === (filter === 'active');
}

function Alone() {
  return (
    <>
      Nobody else is here yet. Open a second tab as somebody else, or start the demo with company:{' '}
      <code>npm run demo -- --people 50</code>
    </>
  );
}

interface CardProps {
  person: Person;
  now: number;
  /** Undefined: no friend. */
  alert: FriendAlert | undefined;
  blocked: boolean;
  onOpen: (userId: string) => void;
}

const PersonCard = memo(function PersonCard({ person, now, alert, blocked, onOpen }: CardProps) {
  const { userId, detail, devices } = person;
  const { look, sentence } = shownAs(person, blocked, now);
  return (
    <li className={`person ${look}`}>
      <Avatar userId={userId} look={look} />
      <div className="who">
        <button type="button" className="name" title="Friends, alerts, blocks" onClick={() => onOpen(userId)}>
          <span>{displayName(userId)}</span>
        </button>
        <span className="when">{sentence}</span>
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
        {alert !== undefined && alert !== 'never' && <Mark name="bell" says="You are told when they come" />}
        {alert !== undefined && <Mark name="friend" says="Friend" />}
        {blocked && <Mark name="block" says="Blocked" />}
        {alert === undefined && !blocked && <Sign name="dots" />}
      </span>
    </li>
  );
});

/** What a detail says of somebody who is active; `available` is no more than that. */
const SAYS: Partial<Record<NonNullable<Person['detail']['availability']>, { look: string; words: string }>> = {
  busy: { look: 'busy', words: 'busy' },
  dnd: { look: 'busy', words: 'do not disturb' },
  away: { look: 'idle', words: 'away from the desk' },
};

/** In a word and in a sentence. */
function shownAs({ status, lastSeen, detail, idle, idleSince }: Person, blocked: boolean, now: number) {
  if (blocked) return { look: 'inactive', sentence: 'blocked by you' };
  if (status !== 'active') return { look: 'inactive', sentence: sinceWhen(lastSeen, now) };
  const { availability } = detail;
  const says = availability === undefined ? undefined : SAYS[availability];
  const look = says?.look ?? (idle ? 'idle' : 'active');
  const words = [says?.words, idle && idleFor(idleSince, now)].filter(Boolean);
  return { look, sentence: words.join(', ') || 'active now' };
}

function idleFor(idleSince: string | null, now: number): string {
  const isNew = idleSince === null || now - Date.parse(idleSince) < 60_000;
  return isNew ? 'idle' : `idle since ${formatLastSeen(idleSince, now, 'en')}`;
}

function sinceWhen(lastSeen: string | null, now: number): string {
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
