import { useEffect, useRef, useState } from 'react';
import type { PersonAnswer } from '../protocol/console.ts';
import { pathOf } from './ask.ts';
import { useNow, usePolled } from './hooks.ts';
import { Face, Panel, Part } from './parts.tsx';
import { Rooms, Sessions, Sources } from './person-lists.tsx';
import { Past } from './person-past.tsx';
import { because, changes, clock, long, number, relative } from './words.ts';

/** One person: what they are, why, and by what; as it is at this moment. */
export function Person({ userId, writable }: { userId: string; writable: boolean }) {
  const { value: person, refusal, again } = usePolled<PersonAnswer>(pathOf('people', userId));
  const [said, setSaid] = useState('');
  const heading = useRef<HTMLHeadingElement>(null);
  const isThere = person !== null;
  // Whoever came by a link goes on from here.
  useEffect(() => {
    if (isThere) heading.current?.focus({ preventScroll: true });
  }, [isThere]);
  if (!person) {
    return (
      <>
        <h1>{userId}</h1>
        <p className={refusal ? 'sad' : 'faint'} role="status">
          {refusal ? refusal.message : 'Asking…'}
        </p>
      </>
    );
  }
  const done = (what: string) => {
    setSaid(what);
    again();
  };
  const ends = { userId, writable, done, now: Date.parse(person.at) };
  const name = 'known' in person.profile ? person.profile.known.displayName : null;
  return (
    <>
      <Head person={person} name={name}>
        <h1 ref={heading} tabIndex={-1}>
          {name ?? userId}
        </h1>
      </Head>
      <p className="said" role="status">
        {refusal ? refusal.message : said}
      </p>
      <Why person={person} />
      <Panel title="Sessions" aside={writable ? '' : 'only shown: BOARD_WRITABLE=true lets the console end something'}>
        <Part of={person.sessions}>{(sessions) => <Sessions of={sessions} {...ends} />}</Part>
      </Panel>
      <div className="halves">
        <Panel title="Rooms">
          <Part of={person.rooms}>{(rooms) => <Rooms of={rooms} {...ends} />}</Part>
        </Panel>
        <Panel title="What sources say" aside="the strongest first">
          <Part of={person.sources}>{(sources) => <Sources of={sources} {...ends} />}</Part>
        </Panel>
        <Panel title="Privacy">
          <Part of={person.privacy}>
            {(words) => (
              <ul className="words">
                {words.map((sentence) => (
                  <li key={sentence}>{sentence}</li>
                ))}
              </ul>
            )}
          </Part>
        </Panel>
        <Panel title="Friends and blocks">
          <dl className="pairs">
            <div>
              <dt>Friends</dt>
              <dd>
                <Part of={person.friends}>{number}</Part>
              </dd>
            </div>
            <div>
              <dt>Users they block</dt>
              <dd>
                <Part of={person.blocks}>{number}</Part>
              </dd>
            </div>
          </dl>
        </Panel>
      </div>
      <Past userId={userId} />
    </>
  );
}

function Head({ person, name, children }: { person: PersonAnswer; name: string | null; children: React.ReactNode }) {
  const now = useNow();
  const status = 'known' in person.status ? person.status.known : null;
  const { idle: isIdle = false, idleSince } = status?.detail ?? {};
  const since = 'known' in person.profile ? person.profile.known.createdAt : null;
  return (
    <div className="person">
      <Face id={person.userId} name={name} status={status?.status ?? null} idle={isIdle} />
      <div>
        {children}
        <p className="faint">
          <code>{person.userId}</code>
          {since && <> · known since {new Date(since).toLocaleDateString('en-GB')}</>}
        </p>
      </div>
      <p className="status">
        {status ? (
          <>
            <b className={status.status === 'active' ? 'good' : ''}>
              {status.status === 'active' ? (isIdle ? 'Active, idle' : 'Active') : 'Inactive'}
            </b>
            {idleSince && <span className="faint">idle since {clock(idleSince)}</span>}
            <span className="faint">
              {status.lastSeen ? `last seen ${relative(status.lastSeen, now)}` : 'never seen'}
            </span>
          </>
        ) : (
          <b>Not known</b>
        )}
      </p>
    </div>
  );
}

function Why({ person }: { person: PersonAnswer }) {
  const now = useNow();
  const overdueMs = 'known' in person.overdueMs ? person.overdueMs.known : 0;
  return (
    <Panel title="Why">
      <Part of={person.status}>
        {({ status, why, lastSeen, detail }) => (
          <>
            <p className="why">
              {status === 'active' ? 'Active' : 'Inactive'}, for {because(why.rule, status)}.
            </p>
            {overdueMs > 0 && <p className="sad">Stuck: active for {long(overdueMs)} beyond the deadline.</p>}
            <dl className="pairs">
              <Pair name="Rule" value={why.rule} />
              <Pair name="Session" value={sessionIn(person, why.sessionId)} />
              <Pair
                name="Detail"
                value={[detail.emoji, detail.availability, detail.text].filter(Boolean).join(' · ') || 'none'}
              />
              <Pair name="Source of the detail" value={why.source ?? 'none'} />
              <Pair name="Since" value={why.since && `${clock(why.since)}, ${relative(why.since, now)}`} />
              <Pair name="Changes" value={changes(why.rule, status, why.nextChangeAt, now)} />
              <Pair name="Last seen" value={lastSeen && clock(lastSeen)} />
            </dl>
          </>
        )}
      </Part>
    </Panel>
  );
}

/** A session by the name of its device too, as long as it is there. */
function sessionIn({ sessions }: PersonAnswer, sessionId: string | null): string {
  if (sessionId === null) return 'none';
  const found = 'known' in sessions ? sessions.known.find((session) => session.sessionId === sessionId) : undefined;
  return found ? `${found.device.name ?? found.device.kind}, ${sessionId}` : sessionId;
}

function Pair({ name, value }: { name: string; value: string | null }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value ?? 'not known'}</dd>
    </div>
  );
}
