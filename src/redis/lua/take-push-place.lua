-- Lets a Web Push go to its push service, or says for how long not.
-- KEYS  1 what is known of the host (fields in return-push-place.lua)  2 tries in flight to the host
--       3 tries in flight for the user
-- ARGV  1 this try  2 the user, by a digest  3 how many may be in flight
--       4 for how long (ms) the place is kept where nobody gives it back  5 for how long a silent host is left alone (ms)
-- Returns { 1 }: it may go; { 0, ms }: the host is left alone for so long; { 0, 0 }: enough are in flight
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local prompt, untilAll, silentTo, untilUser = unpack(redis.call('HMGET', KEYS[1], 'prompt', 'all', 'to', 'until'))
local ends = tonumber(untilAll) or 0
if silentTo == ARGV[2] then ends = math.max(ends, tonumber(untilUser)) end
-- What ends later is of a clock that was set back since.
if ends > now and ends <= now + 2 * ARGV[5] then return { 0, ends - now } end

for n = 2, 3 do
  redis.call('ZREMRANGEBYSCORE', KEYS[n], '-inf', now)
  redis.call('ZREMRANGEBYSCORE', KEYS[n], '(' .. string.format('%.0f', now + ARGV[4]), '+inf')
end
local most = tonumber(ARGV[3])
if redis.call('ZCARD', KEYS[3]) >= most then return { 0, 0 } end
if prompt ~= '1' and redis.call('ZCARD', KEYS[2]) >= most then return { 0, 0 } end
for n = 2, 3 do
  redis.call('ZADD', KEYS[n], now + tonumber(ARGV[4]), ARGV[1])
  redis.call('PEXPIRE', KEYS[n], ARGV[4])
end
return { 1 }
