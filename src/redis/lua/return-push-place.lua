-- A Web Push was tried: gives its place back and notes what that says of the host.
-- KEYS  1 hostKey: what is known of the host: `prompt` 1 where its last answer was one, `answered` when that was, `all` until when it
--         is left alone, `to` and `until` the user to whom it was silent last, and until when for that user alone
--       2 hostFlightsKey: tries in flight to the host  3 userFlightsKey: tries in flight for the user
-- ARGV  1 try  2 user: by a digest  3 answer: 'prompt', 'slow', 'silent' or 'unknown' (of the host nothing was learnt)
--       4 tookMs: how long the try took  5 pause: for how long a silent host is left alone (ms)
--       6 knownMs: for how long it is known that a host has answered
-- Returns { 1 } where the host is left alone from now on, else { 0 }
local hostKey, hostFlightsKey, userFlightsKey = KEYS[1], KEYS[2], KEYS[3]
local try, user, answer, tookMs, pause, knownMs = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', hostFlightsKey, try)
redis.call('ZREM', userFlightsKey, try)

if answer == 'prompt' or answer == 'slow' then
  redis.call('HDEL', hostKey, 'all', 'to', 'until')
  redis.call('HSET', hostKey, 'prompt', answer == 'prompt' and 1 or 0, 'answered', now)
  redis.call('PEXPIRE', hostKey, knownMs)
  return { 0 }
end
if answer ~= 'silent' then return { 0 } end

-- It answered somebody else meanwhile: then it was the endpoint that was silent, and that harms its owner alone.
local answered, silentTo, untilAll = unpack(redis.call('HMGET', hostKey, 'answered', 'to', 'all'))
if answered and tonumber(answered) >= now - tookMs then return { 0 } end
-- Of a host that is known to answer it takes two users to say that it does not. Whoever met the silence waits for longer
-- than the others, so that the next to try is somebody else.
local before = tonumber(untilAll) or 0
local all = (not answered or (silentTo and silentTo ~= user)) and now + pause or before
redis.call('HSET', hostKey, 'prompt', 0, 'all', all, 'to', user, 'until', now + 2 * pause)
redis.call('PEXPIRE', hostKey, math.max(redis.call('PTTL', hostKey), 3 * pause))
return { (all > now and before <= now) and 1 or 0 }
