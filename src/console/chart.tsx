import type { LiveAnswer } from '../protocol/console.ts';
import { number } from './words.ts';

type Minutes = NonNullable<LiveAnswer['minutes']>;

const MINUTE_MS = 60_000;
const PLACES = 60;
const WIDTH = 600;
const STEP = WIDTH / PLACES;
const HEIGHT = 110;
const BASE = 100;

/** The last hour by minutes: a line for those active, bars for comings and goings, each by its own scale. `until` (ms): its end. */
export function HourChart({ minutes, until }: { minutes: Minutes; until: number }) {
  const last = Math.floor(until / MINUTE_MS);
  const places = minutes
    .map((minute) => ({ ...minute, place: PLACES - 1 - (last - Math.floor(Date.parse(minute.at) / MINUTE_MS)) }))
    .filter(({ place }) => place >= 0 && place < PLACES);
  const known = places.flatMap(({ place, active }) => (active === null ? [] : { place, active }));
  const mostActive = Math.max(0, ...known.map(({ active }) => active));
  const mostMoves = Math.max(0, ...places.map(({ transitions }) => transitions));
  const moves = places.reduce((sum, { transitions }) => sum + transitions, 0);
  const x = (place: number) => ((place + 0.5) * STEP).toFixed(1);
  const y = (active: number) => (BASE - (active / Math.max(1, mostActive)) * (BASE - 8)).toFixed(1);
  const says = `At most ${number(mostActive)} were active in a minute of the last hour; there were ${number(moves)} comings and goings, ${number(mostMoves)} in one minute at most.`;
  return (
    <figure className="chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={says}>
        {places.map(({ at, place, transitions }) => {
          const height = (transitions / Math.max(1, mostMoves)) * (BASE - 30);
          return <rect key={at} x={place * STEP + 1} width={STEP - 2} y={BASE - height} height={height} />;
        })}
        <line x1="0" x2={WIDTH} y1={BASE} y2={BASE} />
        <polyline points={known.map(({ place, active }) => `${x(place)},${y(active)}`).join(' ')} />
        {known.slice(-1).map(({ place, active }) => (
          <circle key={place} cx={x(place)} cy={y(active)} r="3" />
        ))}
      </svg>
      <figcaption className="faint">
        <span>an hour ago</span>
        <span className="key line">active, {number(mostActive)} at most</span>
        <span className="key bar">comings and goings, {number(mostMoves)} at most</span>
        <span>now</span>
      </figcaption>
    </figure>
  );
}
