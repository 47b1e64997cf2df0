import type { LiveAnswer, Wrong } from '../protocol/console.ts';
import type { QueueState, StoreFigures } from '../telemetry/metrics.ts';
import type { Reasons } from '../telemetry/readiness.ts';
import { type Alert, RUNBOOK } from './runbook.ts';

/** Thresholds as in docs/operations/alerts.yml; there they also have to hold for a while. */
const DELIVER_MS = 5000;
/** So large a part of the deliveries may be slow. */
const SLOW_SHARE = 0.01;
const RECORD_MS = 60_000;
const RECORD_ENTRIES = 800_000;
const QUEUE_MS = 60_000;
const REDIS_MS = 100;

/** What is wrong is seen in. */
export interface Symptoms {
  reasons: Reasons;
  store: StoreFigures | null;
  processes: LiveAnswer['processes'];
  overdue: LiveAnswer['overdue'];
  flaps: LiveAnswer['flaps'];
  /** Whether every process had the time to tell of itself since somebody looks. */
  allTold: boolean;
}

/** What is wrong at this moment, the worst first, with what the runbook says of it. */
export function wrongsOf(symptoms: Symptoms): Wrong[] {
  const seen = Object.entries(symptomsOf(symptoms)) as [Alert, string | null | false | undefined][];
  return seen.flatMap(([alert, what]) => (what ? { alert, seen: what, advice: RUNBOOK[alert] } : []));
}

/** In the order in which they are told: what makes everything else wrong comes first. */
function symptomsOf({ reasons, store, processes, overdue, flaps, allTold }: Symptoms) {
  const webs = (processes ?? []).flatMap((one) => (one.kind === 'web' ? { ...one, ...one.figures } : []));
  const workers = (processes ?? []).flatMap((one) => (one.kind === 'worker' ? { ...one, ...one.figures } : []));
  const outbox = (group: 'deliver' | 'record') => store?.outbox.find((each) => each.group === group);
  const [deliver, record] = [outbox('deliver'), outbox('record')];
  const late = workers.reduce((sum, { timeouts }) => sum + timeouts.late, 0);
  const slowestMs = Math.max(0, ...workers.map(({ timeouts }) => timeouts.slowestMs));
  const flapped = Object.values(flaps?.counts ?? {}).reduce((sum, count) => sum + count, 0);
  const level = Math.max(0, ...webs.map((web) => web.level));
  const atLevel = webs
    .filter((web) => web.level === level)
    .map(nameOf)
    .join(', ');
  const redisMs = Math.max(0, ...(processes ?? []).map((one) => one.redisMs));
  const deliveries = webs.reduce((sum, web) => sum + web.deliveries, 0);
  const slow = webs.reduce((sum, web) => sum + web.slowDeliveries, 0);
  const stuck = store?.queues.filter(({ oldestMs }) => oldestMs > QUEUE_MS) ?? [];
  const failed = store?.queues.filter(({ queue, jobs }) => jobs.failed > 0 && queue !== 'pushes') ?? [];
  return {
    RollcallRedisAway: reasons.redis,
    RollcallPostgresAway: reasons.postgres,
    RollcallNoWorker: allTold && processes && workers.length === 0 && 'No worker says anything of itself.',
    RollcallNewcomersRefused: level >= 2 && `Level 2: ${atLevel}.`,
    RollcallDeliveryStuck:
      deliver &&
      deliver.oldestMs > DELIVER_MS &&
      `${plural(deliver.entries, 'change')} to be told, for ${secondsOf(deliver.oldestMs)}.`,
    RollcallTimeoutsLate:
      (overdue?.count || late) &&
      `${plural(overdue?.count ?? 0, 'user')} active beyond their deadline now, ${late} settled late in the last minutes${late > 0 ? `, by ${secondsOf(slowestMs)} at most` : ''}.`,
    RollcallFalseInactive: flapped > 0 && `${plural(flapped, 'time')} in the last hour.`,
    RollcallHistoryAtRisk:
      record && record.entries > RECORD_ENTRIES && `${record.entries} changes wait for PostgreSQL.`,
    RollcallLastSeenBehind:
      record &&
      record.oldestMs > RECORD_MS &&
      `${plural(record.entries, 'change')} not in PostgreSQL, for ${secondsOf(record.oldestMs)}.`,
    RollcallQueueStuck: stuck.length > 0 && `${stuck.map(waitingIn).join(', ')}.`,
    RollcallJobsFailed:
      failed.length > 0 && `${failed.map(({ queue, jobs }) => `${queue}: ${jobs.failed}`).join(', ')}.`,
    RollcallUnderPressure: level === 1 && `Level 1: ${atLevel}.`,
    RollcallRedisSlow: reasons.queue ?? (redisMs > REDIS_MS && `Redis took ${Math.round(redisMs)} ms to answer.`),
    RollcallDeliverySlow:
      slow > SLOW_SHARE * deliveries &&
      `${plural(slow, 'change')} of ${deliveries.toLocaleString('en')} in the last minutes.`,
  } satisfies Record<Alert, string | number | boolean | null | undefined>;
}

const nameOf = ({ host, pid }: { host: string; pid: number }) => `${host} ${pid}`;
const waitingIn = ({ queue, oldestMs }: QueueState) => `${queue} for ${secondsOf(oldestMs)}`;
const secondsOf = (ms: number) => `${(ms / 1000).toLocaleString('en', { maximumFractionDigits: 1 })} s`;
const plural = (count: number, what: string) => `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
