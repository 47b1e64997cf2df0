-- Lets a Web Push go to its push service, or says for how long not.
-- KEYS  1 hostKey: what is known of the host (fields in return-push-place.lua)  2 hostFlightsKey: tries in flight to the host
--       3 userFlightsKey: tries in flight for the user
-- ARGV  1 try  2 user: by a digest  3 most: how many may be in flight
--       4 keptMs: for how long the place is kept where nobody gives it back  5 pause: for how long a silent host is left alone (ms)
-- Returns { 1 }: it may go; { 0, ms }: the host is left alone for so long; { 0, 0 }: enough are in flight
local hostKey, hostFlightsKey, userFlightsKey = KEYS[1], KEYS[2], KEYS[3]
local try, user, most, keptMs, pause = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local prompt, untilAll, silentTo, untilUser = unpack(redis.call('HMGET', hostKey, 'prompt', 'all', 'to', 'until'))
local ends = tonumber(untilAll) or 0
if silentTo == user then ends = math.max(ends, tonumber(untilUser)) end
-- What ends later is of a clock that was set back since.
if ends > now and ends <= now + 2 * pause then return { 0, ends - now } end

for _, flightsKey in ipairs({ hostFlightsKey, userFlightsKey }) do
  redis.call('ZREMRANGEBYSCORE', flightsKey, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', flightsKey, '(' .. string.format('%.0f', now + keptMs), '+inf')
end
if redis.call('ZCARD', userFlightsKey) >= most then return { 0, 0 } end
if prompt ~= '1' and redis.call('ZCARD', hostFlightsKey) >= most then return { 0, 0 } end
for _, flightsKey in ipairs({ hostFlightsKey, userFlightsKey }) do
  redis.call('ZADD', flightsKey, now + keptMs, try)
  redis.call('PEXPIRE', flightsKey, keptMs)
end
return { 1 }
