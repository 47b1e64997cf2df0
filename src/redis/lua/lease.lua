-- Keeps (ms > 0) or gives back (ms = 0) a lease, only where it is one's own: one that has ended may have been another's since.
-- KEYS  1 leaseKey  2.. alongKey: what goes with a lease that is given back
-- ARGV  1 token  2 ms
-- Returns { 1 } where it is one's own (or was given back), else { 0 }
local leaseKey, token, ms = KEYS[1], ARGV[1], tonumber(ARGV[2])
if redis.call('GET', leaseKey) ~= token then return { 0 } end
if ms > 0 then
  redis.call('SET', leaseKey, token, 'PX', ms)
  return { 1 }
end
redis.call('DEL', leaseKey)
for n = 2, #KEYS do
  local alongKey = KEYS[n]
  redis.call('DEL', alongKey)
end
return { 1 }
