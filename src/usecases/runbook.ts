/**
 * What to know first of everything that can be wrong: the beginning of its part in docs/operations.md, word for word (a test
 * compares the two), so that who looks at the console in the night reads the same as in the book.
 */
export const RUNBOOK = {
  RollcallNoWorker:
    'No worker answers at all. Active users stay active while they beat, but nobody is told of anything. Start one: it settles everything overdue within 2 s.',
  RollcallRedisAway:
    'Webs run and cannot use Redis. `reasons` in `/readyz` says why, and so does the log of each process, once in ten seconds for each kind of refusal, with how often.',
  RollcallPostgresAway:
    'No process can use PostgreSQL; `reasons.postgres` in `/readyz` and the log (at the loss, each minute, at the return) say why: away, a wrong password or name, not migrated, read only, or a pooler that does not understand.',
  RollcallDeliveryStuck:
    'Changes are in Redis and nobody hands them on. Is a worker up and not stuck (its log, its CPU)? Is `broadcasts` paused on the board?',
  RollcallTimeoutsLate:
    'Users show active for longer than TTL + 2 s. After an outage of all workers that is expected once.',
  RollcallFalseInactive: 'People were told inactive and had not left.',
  RollcallDeliverySlow: 'A change takes more than a second to the sockets.',
  RollcallLastSeenBehind: 'PostgreSQL is away or slow.',
  RollcallHistoryAtRisk: 'Half of what Redis keeps for PostgreSQL (100,000 changes for each of 16 shards) is used.',
  RollcallQueueStuck:
    'Jobs are due and not taken. Is the queue paused on the board, are all jobs `active` for long (a store that hangs), do the workers have CPU?',
  RollcallJobsFailed: 'Open the board, read the error.',
  RollcallUnderPressure:
    'The event loop of this web or its calls to Redis are late by more than 100 or 250 ms. Batches come ten times less often; nothing is lost.',
  RollcallNewcomersRefused:
    'They are late by more than 500 or 1,000 ms: whoever is new is told to come back later, whoever is here stays. Add webs now.',
  RollcallRedisSlow:
    '`redis-cli -u "$REDIS_URL" --latency`, `SLOWLOG GET 10`, CPU of its one core, swap, a fork for a snapshot, another tenant that runs `KEYS`.',
} as const;

export type Alert = keyof typeof RUNBOOK;
