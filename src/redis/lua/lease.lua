-- Takes, keeps (ms > 0) or gives back (ms = 0) a lease, only where it is free or one's own.
-- KEYS  1 leaseKey
-- ARGV  1 token  2 ms
-- Returns { 1 } where it is one's own (or was given back), else { 0 }
local leaseKey, token, ms = KEYS[1], ARGV[1], tonumber(ARGV[2])
local holder = redis.call('GET', leaseKey)
-- One that was to end by a clock that was set back since is free.
local free = ms > 0 and redis.call('PTTL', leaseKey) > ms
if holder and holder ~= token and not free then return { 0 } end
if ms > 0 then redis.call('SET', leaseKey, token, 'PX', ms) else redis.call('DEL', leaseKey) end
return { 1 }
