-- Leases: whoever holds one is alone with something until it ends.

-- Takes or keeps a lease (ms > 0) or gives it back (ms = 0), only where it is free or one's own; whether it is one's own, or was
-- given back.
local function holdLease(key, token, ms)
  local holder = redis.call('GET', key)
  -- One that was to end by a clock that was set back since is free.
  if holder and holder ~= token and not (ms > 0 and redis.call('PTTL', key) > ms) then return false end
  if ms > 0 then redis.call('SET', key, token, 'PX', ms) else redis.call('DEL', key) end
  return true
end
