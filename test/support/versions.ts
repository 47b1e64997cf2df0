import { Redis } from 'ioredis';
import pg from 'pg';

/** What two servers say they are, such as `Redis 7.0.15` and `PostgreSQL 18.4`. */
export async function versionsOf(redisUrls: string, postgresUrl: string): Promise<{ redis: string; postgres: string }> {
  const [one = ''] = redisUrls.split(',');
  const redis = new Redis(one);
  const client = new pg.Client({ connectionString: postgresUrl });
  try {
    await client.connect();
    const { rows } = await client.query('SHOW server_version');
    const info = await redis.info('server');
    const [, name = 'redis'] = /^server_name:(\w+)/m.exec(info) ?? [];
    const [, version] = new RegExp(`^${name}_version:([\\d.]+)`, 'm').exec(info) ?? [];
    return {
      redis: `${name === 'redis' ? 'Redis' : 'Valkey'} ${version}`,
      postgres: `PostgreSQL ${/^[\d.]+/.exec(rows[0].server_version)}`,
    };
  } finally {
    redis.disconnect();
    await client.end();
  }
}
