import { expect, test } from 'vitest';
import type { ProcessFigures, WebFigures } from '../../src/protocol/console.ts';
import { RUNBOOK } from '../../src/usecases/runbook.ts';
import { type Symptoms, wrongsOf } from '../../src/usecases/wrongs.ts';

const process = { host: 'one', pid: 1, upSeconds: 60, busy: 0.1, redisMs: 1 };
const web = (figures: Partial<WebFigures> = {}): ProcessFigures => {
  const calm = { connections: 1, sessions: 1, level: 0, loopLagMs: 0 };
  return {
    ...process,
    kind: 'web',
    figures: { ...calm, deliveries: 1000, slowDeliveries: 10, slowestDeliveryMs: 9000, ...figures },
  };
};
const worker: ProcessFigures = {
  ...process,
  kind: 'worker',
  figures: {
    comings: 0,
    goings: 0,
    timeouts: { settled: 0, late: 0, slowestMs: 0 },
    falselyInactive: { timeout: 0, disconnect: 0, handover: 0 },
  },
};
const WELL: Symptoms = {
  reasons: {},
  store: null,
  processes: [web(), worker],
  overdue: null,
  flaps: null,
  allTold: true,
};
const wrongs = (symptoms: Partial<Symptoms>) => wrongsOf({ ...WELL, ...symptoms }).map(({ alert }) => alert);

test('a few changes that were slow are nothing wrong, and more than one in a hundred are', () => {
  expect(wrongs({})).toEqual([]);
  expect(wrongs({ processes: [web({ slowDeliveries: 11 }), worker] })).toEqual(['RollcallDeliverySlow']);
});

test('no worker is missed before all had the time to say something', () => {
  expect(wrongs({ processes: [web()], allTold: false })).toEqual([]);
  expect(wrongs({ processes: [web()] })).toEqual(['RollcallNoWorker']);
});

test('a store that is away comes first, with the words that /readyz has for it and those of the runbook', () => {
  const [first, second] = wrongsOf({
    ...WELL,
    reasons: { postgres: 'PostgreSQL is not answering.' },
    processes: [web({ level: 2 }), worker],
  });
  const advice = RUNBOOK.RollcallPostgresAway;
  expect(first).toEqual({ alert: 'RollcallPostgresAway', seen: 'PostgreSQL is not answering.', advice });
  expect(second).toMatchObject({ alert: 'RollcallNewcomersRefused', seen: 'Level 2: one 1.' });
});
