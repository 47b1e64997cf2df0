-- needs: lease
-- Takes, keeps (ms > 0) or gives back (ms = 0) a lease, only where it is free or one's own.
-- KEYS  1 leaseKey
-- ARGV  1 token  2 ms
-- Returns { 1 } where it is one's own (or was given back), else { 0 }
local leaseKey, token, ms = KEYS[1], ARGV[1], tonumber(ARGV[2])
return { holdLease(leaseKey, token, ms) and 1 or 0 }
