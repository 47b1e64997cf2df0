-- Takes, keeps (ms > 0) or gives back (ms = 0) a lease, only where it is free or one's own.
-- KEYS  1 lease
-- ARGV  1 token  2 ms
-- Returns { 1 } where it is one's own (or was given back), else { 0 }
local holder, ms = redis.call('GET', KEYS[1]), tonumber(ARGV[2])
-- One that was to end by a clock that was set back since is free.
local free = ms > 0 and redis.call('PTTL', KEYS[1]) > ms
if holder and holder ~= ARGV[1] and not free then return { 0 } end
if ms > 0 then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) else redis.call('DEL', KEYS[1]) end
return { 1 }
