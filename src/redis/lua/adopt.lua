-- needs: stored
-- PostgreSQL has answered for users whose record was made without it, whom Redis lost while they were active, or of whom a
-- failover left less than had been told and recorded.
-- ARGV  5.. in eights: user, version, lastSeen, announced 1|0, hidden, detail, ms it has left, revision of the privacy
-- Returns { wake, user, timeout job to add, its delay (ms), … }
local result = { 0 }
for n = 5, #ARGV, 8 do
  local u = load(ARGV[n]) or newUser(ARGV[n])
  if u.fresh or u.choiceUnknown then
    applyStored(u, storedUserAt(n + 1))
    settle(u)
    edge(u, next(u.sessions) and 'connect' or 'timeout')
    local job = next(u.sessions) and armJob(u) or ''
    local at = save(u)
    if job ~= '' and at then
      result[#result + 1] = u.id
      result[#result + 1] = job
      result[#result + 1] = jobDelay(u, at)
    end
  else
    local stored = storedUserAt(n + 1)
    local later = stored[2] and stored[2] > (u.lastSeen or 0)
    local newer = stored[1] > u.version
    if later then u.lastSeen = stored[2] end
    if newer then
      u.version = stored[1]
      settle(u)
      -- Others were told something else, which only they and PostgreSQL remember.
      local same = u.version ~= stored[1] or u.announced == (stored[3] == 1)
      if not same and u.announced then tell(u, 'restored')
      elseif not same then announce(u, false, u.hiddenUntil and 'manual' or 'timeout') end
    end
    if later or newer then save(u) end
    redis.call('SREM', KEYS[6], u.id)
  end
end
return wake(result)
