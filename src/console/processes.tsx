import type { ReactNode } from 'react';
import type { ProcessFigures, WebFigures, WorkerFigures } from '../protocol/console.ts';
import { long, number } from './words.ts';

type Web = ProcessFigures & { kind: 'web' };
type Worker = ProcessFigures & { kind: 'worker' };

const LEVELS = ['all is well', 'longer batches', 'newcomers refused'];

/** What each web and each worker says of itself. */
export function Processes({ processes }: { processes: ProcessFigures[] }) {
  const webs = processes.filter((one): one is Web => one.kind === 'web');
  const workers = processes.filter((one): one is Worker => one.kind === 'worker');
  return (
    <>
      <Table name="Webs" none="No web has said anything yet." of={webs} columns={WEB} />
      <Table name="Workers" none="No worker has said anything yet." of={workers} columns={WORKER} />
    </>
  );
}

type Columns<F> = [name: string, read: (figures: F) => ReactNode][];

const WEB: Columns<WebFigures> = [
  ['Level', ({ level }) => <span className={level > 0 ? 'sad' : ''}>{`${level}, ${LEVELS[level] ?? ''}`}</span>],
  ['Connections', ({ connections }) => number(connections)],
  ['Sessions', ({ sessions }) => number(sessions)],
  ['Event loop late', ({ loopLagMs }) => `${number(loopLagMs)} ms`],
  ['Slowest delivery', ({ slowestDeliveryMs }) => `${number(slowestDeliveryMs)} ms`],
];

const WORKER: Columns<WorkerFigures> = [
  ['Comings', ({ comings }) => number(comings)],
  ['Goings', ({ goings }) => number(goings)],
  ['Timeouts', ({ timeouts }) => number(timeouts.settled)],
  ['Late', ({ timeouts }) => <span className={timeouts.late > 0 ? 'sad' : ''}>{number(timeouts.late)}</span>],
  ['Latest', ({ timeouts }) => `${number(timeouts.slowestMs)} ms`],
  [
    'False inactives',
    ({ falselyInactive: { timeout, disconnect, handover } }) => (
      <span className={timeout + disconnect + handover > 0 ? 'sad' : ''}>
        {number(timeout + disconnect + handover)}
        {timeout + disconnect + handover > 0 && ` (${timeout} silent, ${disconnect} closed, ${handover} deploys)`}
      </span>
    ),
  ],
];

function Table<P extends ProcessFigures>({
  name,
  none,
  of,
  columns,
}: {
  name: string;
  none: string;
  of: P[];
  columns: Columns<P['figures']>;
}) {
  if (of.length === 0) return <p className="faint">{none}</p>;
  return (
    // Wider than a phone: it is gone through by the arrow keys too.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
    <section className="scroll" tabIndex={0} aria-label={name}>
      <table>
        <caption>{name}</caption>
        <thead>
          <tr>
            <th scope="col">Process</th>
            {columns.map(([title]) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
            <th scope="col">Busy</th>
            <th scope="col">Redis answers in</th>
            <th scope="col">Up</th>
          </tr>
        </thead>
        <tbody>
          {of.map((one) => (
            <tr key={`${one.host} ${one.pid}`}>
              <th scope="row">
                {one.host} {one.pid}
              </th>
              {columns.map(([title, read]) => (
                <td key={title}>{read(one.figures)}</td>
              ))}
              <td>{(100 * one.busy).toFixed(1)} %</td>
              <td>{one.redisMs.toFixed(1)} ms</td>
              <td>{long(1000 * one.upSeconds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
