import { useEffect, useRef, useState } from 'react';
import type UPlot from 'uplot';
import type { TimelinePoint } from './rest.ts';

const WINDOW_S = 300;
const EVERY_MS = 1000;
const HEIGHT = 150;

export type Samples = [times: number[], counts: number[]];

/**
 * How many were active in each of the last seconds, for as long as the page is open, and by the minute before that, as
 * `timeline` tells; undefined is not drawn.
 */
export function useSamples(active: number | undefined, timeline: () => Promise<TimelinePoint[]>): Samples {
  const [samples] = useState<Samples>([[], []]);
  const activeNow = useRef(active);
  activeNow.current = active;
  useEffect(() => {
    const sample = () => {
      const [times, counts] = samples;
      if (activeNow.current === undefined) return;
      const now = Date.now() / 1000;
      times.push(now);
      counts.push(activeNow.current);
      // One older than the window stays: its line leads into it.
      while ((times[1] ?? now) < now - WINDOW_S) {
        times.shift();
        counts.shift();
      }
    };
    sample();
    const timer = setInterval(sample, EVERY_MS);
    return () => clearInterval(timer);
  }, [samples]);
  useEffect(() => {
    let current = true;
    void timeline().then((points) => {
      if (current) putBefore(samples, points);
    });
    return () => {
      current = false;
    };
  }, [samples, timeline]);
  return samples;
}

function putBefore([times, counts]: Samples, points: readonly TimelinePoint[]): void {
  const first = times[0] ?? Date.now() / 1000;
  const earlier = points
    .map(({ at, active }) => ({ time: Date.parse(at) / 1000, active }))
    .filter((point): point is { time: number; active: number } => point.active !== null && point.time < first);
  times.unshift(...earlier.map(({ time }) => time));
  counts.unshift(...earlier.map(({ active }) => active));
}

/** Takes its colours when it appears: give it a new key with a new theme. The page goes on where it cannot be drawn. */
export function ActiveChart({ samples, label }: { samples: Samples; label: string }) {
  const holder = useRef<HTMLDivElement>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    let stop = () => {};
    let gone = false;
    loadLibrary()
      .then((Chart) => {
        if (!gone) stop = draw(Chart, samples, element);
      })
      .catch(() => setFailed(true));
    return () => {
      gone = true;
      stop();
    };
  }, [samples]);
  if (failed) return <p className="empty">The chart can’t be drawn here.</p>;
  return <div className="chart" ref={holder} role="img" aria-label={label} />;
}

/** While it loads it has numbers written in the browser's language, which throws where that is none: some say "C". */
async function loadLibrary(): Promise<typeof UPlot> {
  try {
    Intl.getCanonicalLocales(navigator.language);
  } catch {
    Object.defineProperty(navigator, 'language', { value: document.documentElement.lang, configurable: true });
  }
  return (await import('uplot')).default;
}

/** Returns what ends it. */
function draw(Chart: typeof UPlot, samples: Samples, element: HTMLElement): () => void {
  const chart = new Chart({ ...optionsFor(Chart, element), width: element.clientWidth }, samples, element);
  const timer = setInterval(() => chart.setData(samples), EVERY_MS);
  const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
  resize.observe(element);
  return () => {
    clearInterval(timer);
    resize.disconnect();
    chart.destroy();
  };
}

function optionsFor(Chart: typeof UPlot, element: HTMLElement): Omit<UPlot.Options, 'width'> {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis: UPlot.Axis = {
    stroke: color('--muted'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  return {
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    scales: {
      x: { range: () => [Date.now() / 1000 - WINDOW_S, Date.now() / 1000] },
      y: { range: (_chart, _least, most) => [0, Math.max(4, Math.ceil((most ?? 0) * 1.2))] },
    },
    axes: [
      {
        ...axis,
        size: 24,
        gap: 4,
        splits: () => [4, 3, 2, 1, 0].map((minutes) => Date.now() / 1000 - minutes * 60),
        values: (chart) => [4, 3, 2, 1].map((minutes) => `−${minutes}${chart.width > 330 ? ' min' : ''}`).concat('now'),
      },
      { ...axis, size: 34, space: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
    ],
    series: [
      {},
      { stroke: color('--accent'), width: 2, fill: color('--accent-soft'), points: { show: false }, ...stepped(Chart) },
    ],
  };
}

function stepped(Chart: typeof UPlot): Pick<UPlot.Series, 'paths'> {
  const paths = Chart.paths.stepped?.({ align: 1 });
  return paths ? { paths } : {};
}
