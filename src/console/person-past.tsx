import { useEffect, useState } from 'react';
import type { PersonPastAnswer } from '../protocol/console.ts';
import { ask, pathOf, Refusal } from './ask.ts';
import { usePolled } from './hooks.ts';
import { Panel, Part } from './parts.tsx';
import { cause, clock, long } from './words.ts';

type History = Extract<PersonPastAnswer['history'], { known: unknown }>['known'];

const PAGE = 20;
const EVERY_MS = 10_000;
const DAY_SECONDS = 86_400;

/** The last days of a person as a strip, and their history. */
export function Past({ userId }: { userId: string }) {
  const path = `${pathOf('people', userId, 'past')}?limit=${PAGE}`;
  const { value: past } = usePolled<PersonPastAnswer>(path, EVERY_MS);
  return (
    <>
      <Panel title="The last four weeks" aside="how long they were active on each day (UTC)">
        <Part of={past?.days}>{(days) => <Strip days={days} />}</Part>
      </Panel>
      <Panel title="History" aside="the newest first">
        <Part of={past?.history}>{(first) => <Transitions first={first} path={path} />}</Part>
      </Panel>
    </>
  );
}

function Strip({ days }: { days: { date: string; activeSeconds: number }[] }) {
  return (
    <ol className="strip">
      {days.map(({ date, activeSeconds }) => {
        const says = `${date}: ${activeSeconds === 0 ? 'not active' : long(1000 * activeSeconds)}`;
        // By the root, or the hours of an ordinary day would all look alike.
        const share = Math.sqrt(activeSeconds / DAY_SECONDS);
        return (
          <li key={date} title={says}>
            <span className="fill" style={{ height: `${Math.round(100 * share)}%` }} />
            <span className="hidden">{says}</span>
          </li>
        );
      })}
    </ol>
  );
}

function Transitions({ first, path }: { first: History; path: string }) {
  // What was shown stays, however much comes before it meanwhile.
  const [seen, setSeen] = useState<History['transitions']>([]);
  const [next, setNext] = useState<string | null | undefined>(undefined);
  const [refusal, setRefusal] = useState<string | null>(null);
  const cursor = next === undefined ? first.nextCursor : next;
  useEffect(() => setSeen((before) => merged(first.transitions, before)), [first]);
  const more = async () => {
    try {
      const { history } = await ask<PersonPastAnswer>(`${path}&cursor=${cursor}`);
      if ('unknown' in history) return setRefusal(history.unknown);
      setSeen(merged(seen, history.known.transitions));
      setNext(history.known.nextCursor);
      setRefusal(null);
    } catch (error) {
      setRefusal(error instanceof Refusal ? error.message : 'That did not work.');
    }
  };
  const all = merged(first.transitions, seen);
  if (all.length === 0) return <p className="faint">Nothing is recorded.</p>;
  return (
    <>
      <ol className="lines">
        {all.map(({ version, at, status, cause: why }) => (
          <li key={version}>
            <span>
              <b className={status === 'active' ? 'good' : ''}>{status}</b> <span className="faint">{cause(why)}</span>
            </span>
            <time className="faint" dateTime={at}>
              {clock(at)}
            </time>
          </li>
        ))}
      </ol>
      {refusal && <p className="sad">{refusal}</p>}
      {cursor !== null && (
        <button type="button" onClick={more}>
          Older ones
        </button>
      )}
    </>
  );
}

function merged(a: History['transitions'], b: History['transitions']): History['transitions'] {
  const byVersion = new Map([...b, ...a].map((each) => [each.version, each]));
  return [...byVersion.values()].sort((x, y) => y.version - x.version);
}
