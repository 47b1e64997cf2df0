-- A process reaches Redis. After a gap in everybody's pulse, and where another server has taken over without one, nothing
-- expires for a while, so that the webs can first tell of the beats that they took meanwhile; one that needs longer says so.
-- A clock that was set forward, or another server's that is ahead, looks like a gap.
-- KEYS  1 pulse  2 hold  3 epoch  4 the server's name for its own run  5 who has expiry wait: process → until when, and
--   `since <process>` → since when without a break (ms)
-- ARGV  1 hold (ms)  2 name for this store's epoch, should it have none  3 for how long expiry has to wait for this process
--   (ms), or 0  4 the process  5 when it sent this, as far as it knows this server's clock (ms), or 0  6 for how long expiry has
--   to wait for it where that is too long ago (ms), or 0  7 for how long at most without a break (ms)
-- Returns { now (ms), epoch: since when (ms), a blank, a name }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[1]) or '')
-- The first write decides whether Redis takes any: it asks whether it is full before each that may need memory, but not once
-- a script has written, were it only to remove something. So this has to stand before all others.
redis.call('SET', KEYS[1], string.format('%.0f', now))
-- A replica that took over may lack what was acknowledged last, however short the gap was.
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local before = redis.call('GET', KEYS[4])
if before ~= server then redis.call('SET', KEYS[4], server) end
local GAP, AWAY = 'after a gap', 1500
-- Where the clock was set back, what was to end by the old one would last for as long as it was set back.
if last and last - now > AWAY then redis.call('DEL', KEYS[2], KEYS[5]) end
local gap = last and (now - last > AWAY or (before and before ~= server))
if gap then redis.call('ZADD', KEYS[5], now + ARGV[1], GAP) end
-- What was said to a Redis that stood still is heard first when it goes on, and before the beats of the meantime.
local sentAt, behindMs = tonumber(ARGV[5]), tonumber(ARGV[3])
if sentAt > 0 and now - sentAt > AWAY then behindMs = math.max(behindMs, tonumber(ARGV[6])) end
local waited, since = redis.call('EXISTS', KEYS[5]) == 1, 'since ' .. ARGV[4]
if behindMs > 0 then
  -- People who left must not stay active for as long as somebody cannot cope. It was a break where the last wait was over
  -- before it had to be.
  local from = tonumber(redis.call('ZSCORE', KEYS[5], since) or '')
  local till = tonumber(redis.call('ZSCORE', KEYS[5], ARGV[4]) or '')
  if gap or not from or (till < now and till < from + ARGV[7]) then from = now end
  redis.call('ZADD', KEYS[5], math.min(now + behindMs, from + ARGV[7]), ARGV[4], from, since)
elseif waited then redis.call('ZREM', KEYS[5], ARGV[4], since)
end
if gap or behindMs > 0 then redis.call('PEXPIRE', KEYS[5], ARGV[7] + 60000) end
-- The hold ends with the last who needs it: whoever has left must not stay active for longer.
local all = tonumber(redis.call('ZSCORE', KEYS[5], GAP) or 0) > now
local longest = redis.call('ZREVRANGE', KEYS[5], 0, 0, 'WITHSCORES')[2]
if longest and longest - now > 0 then redis.call('SET', KEYS[2], all and 'all' or 'beats', 'PX', longest - now)
elseif waited then redis.call('DEL', KEYS[2]) end
redis.call('SET', KEYS[3], string.format('%.0f ', now) .. ARGV[2], 'NX')
return { string.format('%.0f', now), redis.call('GET', KEYS[3]) }
