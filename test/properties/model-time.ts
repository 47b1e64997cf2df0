import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { RedisClock } from '../../src/redis/clock.ts';

/**
 * Put before every script: `TIME` is read from a key, and what would expire is only noted, so that a test decides when
 * time passes and nothing depends on how fast it runs. The scripts themselves stay as they are.
 */
const shim = (prefix: string) => `
local real = redis
local EXPIRIES = '${prefix}expiries'
local function clock() return tonumber(real.call('GET', '${prefix}clock')) end
local redis = { pcall = real.pcall, call = function(command, ...)
  local args = { ... }
  if command == 'TIME' then
    local ms = clock()
    return { math.floor(ms / 1000), (ms % 1000) * 1000 }
  elseif command == 'SET' then
    local plain, px = {}, nil
    for n = 1, #args do
      if args[n] == 'PX' then px = tonumber(args[n + 1])
      elseif args[n - 1] ~= 'PX' then plain[#plain + 1] = args[n] end
    end
    local reply = real.call('SET', unpack(plain))
    local conditional = plain[3] == 'NX' or plain[3] == 'XX'
    if not (conditional and not reply) then
      if px then real.call('HSET', EXPIRIES, args[1], clock() + px) else real.call('HDEL', EXPIRIES, args[1]) end
    end
    return reply
  elseif command == 'PEXPIRE' then
    return real.call('HSET', EXPIRIES, args[1], clock() + args[2])
  elseif command == 'PERSIST' then
    return real.call('HDEL', EXPIRIES, args[1])
  elseif command == 'DEL' then
    real.call('HDEL', EXPIRIES, unpack(args))
  end
  return real.call(command, unpack(args))
end }
`;

/** A Redis whose scripts live in the time that `ModelTime` keeps. */
export class ModelTime {
  readonly redis: Redis;
  readonly #prefix: string;
  #now = 0;

  constructor(url: string, prefix: string) {
    this.#prefix = prefix;
    this.redis = new Redis(url);
    const before = shim(prefix);
    const shas = new Map<string, string>();
    const evalsha = this.redis.evalsha.bind(this.redis) as (...args: unknown[]) => Promise<unknown>;
    const evaluate = this.redis.eval.bind(this.redis) as (...args: unknown[]) => Promise<unknown>;
    Object.assign(this.redis, {
      evalsha: (sha: string, ...args: unknown[]) => {
        const changed = shas.get(sha);
        // The server may know the script as it is, from another test.
        return changed ? evalsha(changed, ...args) : Promise.reject(new Error('NOSCRIPT'));
      },
      eval: (source: string, ...args: unknown[]) => {
        const changed = before + source;
        shas.set(sha1(source), sha1(changed));
        return evaluate(changed, ...args);
      },
    });
  }

  get now(): number {
    return this.#now;
  }

  async start(now: number): Promise<void> {
    this.#now = now;
    await this.redis.multi().set(`${this.#prefix}clock`, now).del(`${this.#prefix}expiries`).exec();
  }

  /** Lets time pass; what expires on the way is gone afterwards. Returns its keys. */
  async pass(ms: number): Promise<string[]> {
    this.#now += ms;
    await this.redis.set(`${this.#prefix}clock`, this.#now);
    const expired = [...(await this.expiries())].flatMap(([key, at]) => (at <= this.#now ? [key] : []));
    if (expired.length > 0) {
      await this.redis
        .multi()
        .del(...expired)
        .hdel(`${this.#prefix}expiries`, ...expired)
        .exec();
    }
    return expired;
  }

  /** When which key would expire. */
  async expiries(): Promise<Map<string, number>> {
    const all = await this.redis.hgetall(`${this.#prefix}expiries`);
    return new Map(Object.entries(all).map(([key, at]) => [key, Number(at)]));
  }
}

/** What a process believes of Redis's clock: nothing, or that its command is late by so much. */
export class LateClock extends RedisClock {
  readonly #time: ModelTime;
  lateMs: number | null = null;

  constructor(time: ModelTime) {
    super();
    this.#time = time;
  }

  override now(): number {
    return this.lateMs === null ? 0 : this.#time.now - this.lateMs;
  }
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
