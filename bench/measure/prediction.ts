/** What one of a deployment's stores and processes needs, in µs of CPU; 0: too little to see. */
type Micros = Record<'web' | 'worker' | 'redis' | 'postgres', number>;

/**
 * The costs of docs/scaling.md, where it is said which figure each is from. CPU is beyond that of an empty deployment. An idle
 * user is one at a TTL of 60 s and a heartbeat in 30 s; a change is a coming or a going that nobody is told of.
 */
const COSTS = {
  idleUser: { web: 6.3, worker: 0, redis: 1.3, postgres: 0.2 } satisfies Micros,
  measuredAt: { ttlSeconds: 60, intervalSeconds: 30 },
  change: { web: 1000, worker: 600, redis: 700, postgres: 200 } satisfies Micros,
  /** An event told to one watcher. */
  told: { web: 20 },
  /** One job of a user comes round in ten TTLs; its part of what an idle user costs Redis. */
  timeoutJob: { redis: 80, ttls: 10 },
  webKiB: 40,
  redisKiB: 1.6,
  walBytesOfChange: 8700,
};

export interface Habits {
  users: number;
  ttlSeconds: number;
  intervalSeconds: number;
  /** Comings and goings together. */
  changesPerSecond: number;
  /** How many are told of a change. */
  watchers: number;
}

export interface Prediction {
  /** Of CPU, fully used. */
  cores: Micros;
  webMiB: number;
  redisMiB: number;
  /** MB a second. */
  wal: number;
}

/** What a deployment needs, by the arithmetic of docs/scaling.md. */
export function predict({ users, ttlSeconds, intervalSeconds, changesPerSecond, watchers }: Habits): Prediction {
  const { idleUser, measuredAt, change, told, timeoutJob, webKiB, redisKiB, walBytesOfChange } = COSTS;
  const beats = measuredAt.intervalSeconds / intervalSeconds;
  const jobOf = (ttl: number) => timeoutJob.redis / (timeoutJob.ttls * ttl);
  const idle: Micros = {
    web: idleUser.web * beats,
    worker: idleUser.worker * beats,
    redis: (idleUser.redis - jobOf(measuredAt.ttlSeconds)) * beats + jobOf(ttlSeconds),
    postgres: idleUser.postgres * beats,
  };
  const cores = (part: keyof Micros, ofChange = 0) =>
    (users * idle[part] + changesPerSecond * (change[part] + ofChange)) / 1e6;
  return {
    cores: {
      web: cores('web', watchers * told.web),
      worker: cores('worker'),
      redis: cores('redis'),
      postgres: cores('postgres'),
    },
    webMiB: (users * webKiB) / 1024,
    redisMiB: (users * redisKiB) / 1024,
    wal: (changesPerSecond * walBytesOfChange) / 1e6,
  };
}
