import { startPostgres } from '../../scripts/embedded/postgres.ts';
import { startRedis } from '../../scripts/embedded/redis.ts';

/** A process that starts both stores, tells their process ids, and stays until it is killed. */
const [redis, postgres] = await Promise.all([startRedis({ appendonly: true }), startPostgres()]);
console.log(JSON.stringify({ redis: redis.pid, postgres: postgres.pid }));
setInterval(() => {}, 60_000);
