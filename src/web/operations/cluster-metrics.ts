import cluster, { type Worker } from 'node:cluster';
import type { Registry } from 'prom-client';
import { AggregatorRegistry, type MetricObject, type MetricObjectWithValues, type MetricValue } from 'prom-client';
import { EVENT_LOOP_LAG, lagNoted } from '../../telemetry/metrics.ts';
import type { Scrape } from './metrics.ts';

/** Of a process that does not answer in this time a scrape tells what it said last. */
const ANSWER_LIMIT_MS = 2000;

type Measured = MetricObjectWithValues<MetricValue<string>>[];

/** What the processes of a machine say to the one that started them, and back. */
type Message =
  | { rollcall: 'scrape'; id: number }
  | { rollcall: 'measure'; id: number }
  | { rollcall: 'measured'; id: number; metrics: Measured }
  | { rollcall: 'scraped'; id: number; text: string };

/**
 * A scrape of all web processes behind one port, of which any may be asked. It asks the process that started them all,
 * which asks each and adds up what they say: one answer for the machine, whoever is asked.
 */
export function scrapeOfMachine(registry: Registry): Scrape {
  const waiting = new Map<number, (text: string) => void>();
  let serial = 0;
  const send = (message: Message) => process.send?.(message);
  process.on('message', (message: Message) => {
    if (message.rollcall === 'scraped') {
      waiting.get(message.id)?.(message.text);
      waiting.delete(message.id);
    } else if (message.rollcall === 'measure') {
      const { id } = message;
      const measured = (metrics: Measured) => send({ rollcall: 'measured', id, metrics });
      lagNoted()
        .then(() => registry.getMetricsAsJSON())
        .then(
          (metrics) => measured(metrics as Measured),
          () => measured([]),
        );
    }
  });
  return async () => {
    const id = serial++;
    const text = await new Promise<string>((resolve) => {
      waiting.set(id, resolve);
      send({ rollcall: 'scrape', id });
    });
    return { contentType: registry.contentType, text };
  };
}

/**
 * Answers scrapes for all web processes, in the one that started them. One that is too busy to answer is told of as it
 * was last: its counters do not fall, as if it had started anew. What it says too late says how long it was busy, which
 * goes into the next answer.
 */
export function answerScrapes(): void {
  const last = new WeakMap<Worker, Measured>();
  const late: Measured[] = [];
  const asked = new Map<number, { missing: Set<Worker>; metrics: Measured[]; done: () => void }>();
  let serial = 0;

  async function measureAll(): Promise<string> {
    const id = serial++;
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected() === true);
    const question = { missing: new Set(workers.flatMap((worker) => worker ?? [])), metrics: [] as Measured[] };
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ANSWER_LIMIT_MS);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      asked.set(id, { ...question, done });
      for (const worker of question.missing) worker.send({ rollcall: 'measure', id } satisfies Message);
      if (question.missing.size === 0) done();
    });
    asked.delete(id);
    for (const worker of question.missing) question.metrics.push(last.get(worker) ?? []);
    question.metrics.push(...late.splice(0));
    return await AggregatorRegistry.aggregate(question.metrics as unknown as MetricObject[]).metrics();
  }

  cluster.on('message', (worker: Worker, message: Message) => {
    if (message.rollcall === 'scrape') {
      void measureAll().then((text) => {
        if (worker.isConnected()) worker.send({ rollcall: 'scraped', id: message.id, text } satisfies Message);
      });
    } else if (message.rollcall === 'measured') {
      const question = asked.get(message.id);
      last.set(worker, message.metrics);
      if (!question) {
        late.push(message.metrics.filter(isOfEventLoop));
        return;
      }
      question.missing.delete(worker);
      question.metrics.push(message.metrics);
      if (question.missing.size === 0) question.done();
    }
  });
}

/** Such figures are of the time since they were last asked for: what is not told is lost. */
const isOfEventLoop = ({ name }: Measured[number]) => name.startsWith(EVENT_LOOP_LAG);
