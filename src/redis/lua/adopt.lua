-- PostgreSQL has answered for users whose record was made without it, whom Redis lost while they were active, or of whom a
-- failover left an older last seen than was told.
-- ARGV  5.. in eights: user, version, lastSeen, announced 1|0, hidden, detail, ms it has left, privacy
-- Returns { wake, user, timeout job to add, its delay (ms), … }
local result = { 0 }
for n = 5, #ARGV, 8 do
  local u = load(ARGV[n]) or newUser(ARGV[n])
  if u.fresh or u.unseeded then
    applySeed(u, memoryAt(n + 1))
    settle(u)
    edge(u, next(u.sessions) and 'connect' or 'timeout')
    local job = next(u.sessions) and armJob(u) or ''
    local at = save(u)
    if job ~= '' and at then
      result[#result + 1] = u.id
      result[#result + 1] = job
      result[#result + 1] = at - now
    end
  else
    local known = memoryAt(n + 1)[2]
    if known and known > (u.lastSeen or 0) then
      u.lastSeen = known
      save(u)
    end
    redis.call('SREM', KEYS[6], u.id)
  end
end
return wake(result)
