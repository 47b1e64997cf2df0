-- A process reaches Redis. After a gap in everybody's pulse, and where another server has taken over without one, nothing
-- expires for a while, so that the webs can first tell of the beats that they took meanwhile; one that needs longer says so.
-- A clock that was set forward, or another server's that is ahead, looks like a gap.
-- KEYS  1 pulseKey  2 holdKey  3 epochKey  4 serverKey: the server's name for its own run  5 holdsKey: who has expiry wait, process →
--         until when, and `since <process>` → since when without a break (ms)  6 onlookersKey: exists while somebody looks at all processes
-- ARGV  1 holdMs  2 epochName: for this store's, should it have none  3 behindMs: for how long expiry has to wait for this process,
--         or 0  4 process  5 sentAt: when it sent this, as far as it knows this server's clock (ms), or 0
--       6 lateMs: for how long expiry has to wait for it where that is too long ago, or 0  7 mostMs: for how long at most without a break
-- Returns { now (ms), epoch: since when (ms), a blank, a name, 1 if somebody looks at all processes, else 0 }
local pulseKey, holdKey, epochKey, serverKey, holdsKey, onlookersKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local holdMs, epochName, behindMs, process = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local sentAt, lateMs, mostMs = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- In one command, for this is done by everybody all the time.
local found = redis.call('MGET', pulseKey, onlookersKey)
local last, onlookers = tonumber(found[1] or ''), found[2] and 1 or 0
-- The first write decides whether Redis takes any: it asks whether it is full before each that may need memory, but not once
-- a script has written, were it only to remove something. So this has to stand before all others.
redis.call('SET', pulseKey, string.format('%.0f', now))
-- A replica that took over may lack what was acknowledged last, however short the gap was.
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local before = redis.call('GET', serverKey)
if before ~= server then redis.call('SET', serverKey, server) end
local GAP, AWAY = 'after a gap', 1500
-- Where the clock was set back, what was to end by the old one would last for as long as it was set back.
if last and last - now > AWAY then redis.call('DEL', holdKey, holdsKey) end
local gap = last and (now - last > AWAY or (before and before ~= server))
if gap then redis.call('ZADD', holdsKey, now + holdMs, GAP) end
-- What was said to a Redis that stood still is heard first when it goes on, and before the beats of the meantime.
if sentAt > 0 and now - sentAt > AWAY then behindMs = math.max(behindMs, lateMs) end
local waited, since = redis.call('EXISTS', holdsKey) == 1, 'since ' .. process
if behindMs > 0 then
  -- People who left must not stay active for as long as somebody cannot cope. It was a break where the last wait was over
  -- before it had to be.
  local from = tonumber(redis.call('ZSCORE', holdsKey, since) or '')
  local till = tonumber(redis.call('ZSCORE', holdsKey, process) or '')
  if gap or not from or (till < now and till < from + mostMs) then from = now end
  redis.call('ZADD', holdsKey, math.min(now + behindMs, from + mostMs), process, from, since)
elseif waited then redis.call('ZREM', holdsKey, process, since)
end
if gap or behindMs > 0 then redis.call('PEXPIRE', holdsKey, mostMs + 60000) end
-- The hold ends with the last who needs it: whoever has left must not stay active for longer.
local all = tonumber(redis.call('ZSCORE', holdsKey, GAP) or 0) > now
local longest = redis.call('ZREVRANGE', holdsKey, 0, 0, 'WITHSCORES')[2]
if longest and longest - now > 0 then redis.call('SET', holdKey, all and 'all' or 'beats', 'PX', longest - now)
elseif waited then redis.call('DEL', holdKey) end
redis.call('SET', epochKey, string.format('%.0f ', now) .. epochName, 'NX')
return { string.format('%.0f', now), redis.call('GET', epochKey), onlookers }
