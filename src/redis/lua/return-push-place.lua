-- A Web Push was tried: gives its place back and notes what that says of the host.
-- KEYS  1 what is known of the host: `prompt` 1 where its last answer was one, `answered` when that was, `all` until when it
--         is left alone, `to` and `until` the user to whom it was silent last, and until when for that user alone
--       2 tries in flight to the host  3 tries in flight for the user
-- ARGV  1 this try  2 the user, by a digest  3 'prompt', 'slow', 'silent' or 'unknown' (of the host nothing was learnt)
--       4 how long the try took (ms)  5 for how long a silent host is left alone (ms)
--       6 for how long it is known that a host has answered (ms)
-- Returns { 1 } where the host is left alone from now on, else { 0 }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])

if ARGV[3] == 'prompt' or ARGV[3] == 'slow' then
  redis.call('HDEL', KEYS[1], 'all', 'to', 'until')
  redis.call('HSET', KEYS[1], 'prompt', ARGV[3] == 'prompt' and 1 or 0, 'answered', now)
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  return { 0 }
end
if ARGV[3] ~= 'silent' then return { 0 } end

-- It answered somebody else meanwhile: then it was the endpoint that was silent, and that harms its owner alone.
local answered, silentTo, untilAll = unpack(redis.call('HMGET', KEYS[1], 'answered', 'to', 'all'))
if answered and tonumber(answered) >= now - tonumber(ARGV[4]) then return { 0 } end
-- Of a host that is known to answer it takes two users to say that it does not. Whoever met the silence waits for longer
-- than the others, so that the next to try is somebody else.
local pause = tonumber(ARGV[5])
local before = tonumber(untilAll) or 0
local all = (not answered or (silentTo and silentTo ~= ARGV[2])) and now + pause or before
redis.call('HSET', KEYS[1], 'prompt', 0, 'all', all, 'to', ARGV[2], 'until', now + 2 * pause)
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), 3 * pause))
return { (all > now and before <= now) and 1 or 0 }
