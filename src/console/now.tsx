import type { ReactNode } from 'react';
import type { LiveAnswer } from '../protocol/console.ts';
import { HourChart } from './chart.tsx';
import { addressOf, useNow } from './hooks.ts';
import { Panel } from './parts.tsx';
import { Processes } from './processes.tsx';
import { cause, clock, long, number, relative } from './words.ts';

/** What goes on at this moment: what is wrong first. */
export function Now({ live }: { live: LiveAnswer | null }) {
  if (!live) return <p className="faint">Asking what goes on…</p>;
  return (
    <>
      <h1 className="hidden">What goes on now</h1>
      <Health live={live} />
      <Figures live={live} />
      <Panel title="The last hour" aside="each minute: most that were active, and comings and goings">
        {live.minutes ? <HourChart minutes={live.minutes} until={Date.parse(live.at)} /> : <Missing />}
      </Panel>
      <div className="halves">
        <Overdue live={live} />
        <Flaps live={live} />
        <Looks live={live} />
        <FullestRooms live={live} />
      </div>
      <Panel title="Processes" aside={`counts are of the last ${live.latelyMinutes} minutes`}>
        {live.processes ? <Processes processes={live.processes} /> : <Missing />}
      </Panel>
    </>
  );
}

const Missing = () => <p className="sad">This cannot be found out at this moment.</p>;

function Health({ live: { wrong, progress } }: { live: LiveAnswer }) {
  // Said when what is wrong becomes another, and not whenever a figure in it does.
  const said = wrong.length === 0 ? 'Nothing is wrong.' : `Wrong: ${wrong.map(({ alert }) => alert).join(', ')}`;
  return (
    <section aria-label="What is wrong now">
      <p className="hidden" role="status">
        {said}
      </p>
      {wrong.length === 0 && <p className="banner good">Nothing is wrong.</p>}
      {wrong.map(({ alert, seen, advice }) => (
        <div key={alert} className="banner bad">
          <h2>{alert}</h2>
          <p>{seen}</p>
          <p className="advice">{withCode(advice)}</p>
        </div>
      ))}
      {progress.map(({ what, text, part }) => (
        <div key={what} className="banner">
          <p id={`progress-${what}`}>{text}</p>
          <progress aria-labelledby={`progress-${what}`} {...(part === null ? {} : { value: part })} />
        </div>
      ))}
    </section>
  );
}

/** What stands between backticks, as in the runbook, is code. */
function withCode(text: string): ReactNode[] {
  return text.split('`').map((words, n) => (n % 2 === 0 ? words : <code key={n}>{words}</code>));
}

function Figures({ live }: { live: LiveAnswer }) {
  const { active, minutes, processes, overdue, flaps } = live;
  const workers = (processes ?? []).flatMap((one) => (one.kind === 'worker' ? one.figures : []));
  // The one before that under way, which is whole.
  const minute = minutes?.at(-2) ?? minutes?.at(-1);
  const late = workers.reduce((sum, { timeouts }) => sum + timeouts.late, 0) + (overdue?.count ?? 0);
  const false_ = flaps ? Object.values(flaps.counts).reduce((sum, count) => sum + count, 0) : null;
  const within = (minutes: number) => active?.within.find((each) => each.minutes === minutes)?.users;
  return (
    <dl className="figures">
      <Figure name="Active now" value={active?.now} />
      <Figure name="Seen in the last hour" value={within(60)} />
      <Figure name="Seen in the last day" value={within(1440)} />
      <Figure name="Comings and goings a minute" value={minute?.transitions} />
      <Figure name="Timeouts late" value={processes && overdue ? late : undefined} wrong={late > 0} />
      <Figure name="False inactives" value={false_ ?? undefined} wrong={(false_ ?? 0) > 0} />
    </dl>
  );
}

function Figure({ name, value, wrong = false }: { name: string; value: number | undefined; wrong?: boolean }) {
  return (
    <div className={wrong ? 'figure wrong' : 'figure'}>
      <dt>{name}</dt>
      <dd>{value === undefined ? '–' : number(value)}</dd>
    </div>
  );
}

/** Who is stuck. */
function Overdue({ live: { overdue } }: { live: LiveAnswer }) {
  return (
    <Panel title="Active beyond their deadline" aside={overdue ? number(overdue.count) : ''}>
      <Lines of={overdue?.users} none="Nobody is stuck.">
        {({ userId, lateMs }) => (
          <Line key={userId} userId={userId}>
            for {long(lateMs)}
          </Line>
        )}
      </Lines>
    </Panel>
  );
}

/** Whom the last deploy, or anything else, flapped. */
function Flaps({ live: { flaps } }: { live: LiveAnswer }) {
  const now = useNow();
  const causes = Object.entries(flaps?.counts ?? {}).map(([name, count]) => `${number(count)} ${cause(name)}`);
  return (
    <Panel
      title="Told inactive and had not left"
      aside={flaps ? `since ${clock(flaps.since)}${causes.length > 0 ? `: ${causes.join(', ')}` : ''}` : ''}
    >
      <Lines of={flaps?.newest} none="No deploy and no timeout flapped anyone.">
        {({ userId, at, cause: why, backAfterMs }) => (
          <Line key={`${userId} ${at}`} userId={userId}>
            {relative(at, now)}, {cause(why)}
            {backAfterMs === null ? '' : `, back after ${(backAfterMs / 1000).toFixed(1)} s`}
          </Line>
        )}
      </Lines>
    </Panel>
  );
}

/** Who looks at everybody. */
function Looks({ live: { looks } }: { live: LiveAnswer }) {
  const most = looks?.most ? `${number(looks.most)} a day are allowed` : 'any number is allowed';
  return (
    <Panel title="Who looks at most others today" aside={looks ? most : ''}>
      <Lines of={looks?.users} none="Nobody looks at more than a hundred.">
        {({ userId, looked }) => (
          <Line key={userId} userId={userId}>
            at {number(looked)}
            {looks?.most ? (
              <meter min={0} max={looks.most} value={looked} aria-label={`of ${number(looks.most)}`} />
            ) : null}
          </Line>
        )}
      </Lines>
    </Panel>
  );
}

function FullestRooms({ live: { rooms } }: { live: LiveAnswer }) {
  return (
    <Panel title="The fullest rooms">
      <Lines of={rooms} none="Nobody is in a room.">
        {({ roomId, count }) => (
          <li key={roomId}>
            <span className="name">{roomId}</span>
            <span className="faint">{number(count)}</span>
          </li>
        )}
      </Lines>
    </Panel>
  );
}

function Lines<T>({
  of,
  none,
  children,
}: {
  of: T[] | null | undefined;
  none: string;
  children: (one: T) => ReactNode;
}) {
  if (!of) return <Missing />;
  if (of.length === 0) return <p className="faint">{none}</p>;
  return <ul className="lines">{of.map(children)}</ul>;
}

function Line({ userId, children }: { userId: string; children: ReactNode }) {
  return (
    <li>
      <a className="name" href={addressOf(userId)}>
        {userId}
      </a>
      <span className="faint">{children}</span>
    </li>
  );
}
