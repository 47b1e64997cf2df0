-- needs: save
-- Looks at users whose time has come and makes the transitions that are due. The one way to become inactive
-- by silence: timeout jobs, due-at-once jobs and the sweep all end here.
-- ARGV  5.. in twos: userId, ask (number of the timeout job that asks, or '')
-- Returns { wake, next, announced, job, … } a triple per user: ms until its job is to look again, -1 where it
--   need not; what was announced: '' | active | inactive; the number of its waiting job or ''
local result = { 0 }
for n = 5, #ARGV, 2 do
  local userId, ask = ARGV[n], ARGV[n + 1]
  local u = load(userId)
  local after, announced, job = -1, '', ''
  if u then
    local version = u.version
    settle(u)
    if u.version ~= version then announced = u.announced and 'active' or 'inactive' end
    -- It is at work right now, and ends by itself.
    local idle = next(u.sessions) == nil and not u.announced
    if idle and u.job == ask then u.job = nil end
    local at = save(u)
    if at then after = math.max(jobDelay(u, at), hold() ~= '' and 1000 or 0) end
    job = u.job or ''
  else
    redis.call('ZREM', dueKey, userId)
  end
  result[#result + 1] = after
  result[#result + 1] = announced
  result[#result + 1] = job
end
return wake(result)
