-- A process reaches Redis. After a gap in everybody's pulse, and where another server has taken over without one, nothing
-- expires for a while, so that the webs can first tell of the beats that they took meanwhile.
-- KEYS  1 pulse  2 hold  3 epoch  4 the server's name for its own run
-- ARGV  1 hold (ms)  2 name for this store's epoch, should it have none
-- Returns { now (ms), epoch: since when (ms), a blank, a name }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[1]) or '')
-- A replica that took over may lack what was acknowledged last, however short the gap was.
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local before = redis.call('GET', KEYS[4])
if before ~= server then redis.call('SET', KEYS[4], server) end
if last and (now - last > 1500 or (before and before ~= server)) then redis.call('SET', KEYS[2], '1', 'PX', ARGV[1]) end
redis.call('SET', KEYS[1], string.format('%.0f', now))
redis.call('SET', KEYS[3], string.format('%.0f ', now) .. ARGV[2], 'NX')
return { string.format('%.0f', now), redis.call('GET', KEYS[3]) }
