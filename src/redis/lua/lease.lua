-- Takes, keeps (ms > 0) or gives back (ms = 0) a lease, only where it is free or one's own.
-- KEYS  1 lease
-- ARGV  1 token  2 ms
-- Returns { 1 } where it is one's own (or was given back), else { 0 }
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return { 0 } end
if tonumber(ARGV[2]) > 0 then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) else redis.call('DEL', KEYS[1]) end
return { 1 }
