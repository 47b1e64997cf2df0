-- needs: stored
-- PostgreSQL has answered for users whose record was made without it, whom Redis lost while they were active, or of whom a
-- failover left less than had been told and recorded.
-- ARGV  5.. in twos: userId, storedText (the stored user, lib-stored.lua)
-- Returns { wake, user, timeout job to add, its delay (ms), … }
local result = { 0 }
for n = 5, #ARGV, 2 do
  local userId, storedText = ARGV[n], ARGV[n + 1]
  local stored = storedUser(storedText)
  local u = load(userId) or newUser(userId)
  if u.fresh or u.choiceUnknown then
    applyStored(u, stored)
    settle(u)
    tell(u, next(u.sessions) and 'connect' or 'timeout')
    local job = next(u.sessions) and armJob(u) or ''
    local at = save(u)
    if job ~= '' and at then
      result[#result + 1] = u.id
      result[#result + 1] = job
      result[#result + 1] = jobDelay(u, at)
    end
  else
    local later = stored.lastSeen and stored.lastSeen > (u.lastSeen or 0)
    local newer = stored.version > u.version
    if later then u.lastSeen = stored.lastSeen end
    if newer then
      u.version = stored.version
      settle(u)
      -- Others were told something else, which only they and PostgreSQL remember.
      local same = u.version ~= stored.version or u.announced == (stored.active or false)
      if not same and u.announced then announce(u, 'restored')
      elseif not same then announceStatus(u, false, u.hiddenUntil and 'manual' or 'timeout') end
    end
    if later or newer then save(u) end
    redis.call('SREM', choiceUnknownKey, u.id)
  end
end
return wake(result)
