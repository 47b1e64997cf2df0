-- needs: save
-- Looks at users of a node's shards whose time has come, and makes the transitions that are due. The one way to become inactive
-- by silence: timeout jobs, due-at-once jobs and the sweep all end here.
-- ARGV  5.. in threes: shard, userId, ask (shard: its place among the keys; ask: number of the timeout job that asks, or '')
-- Returns { { wake of each shard }, { next, announced, job }, … }: ms until the user's job is to look again, -1 where it
--   need not; what was announced: '' | active | inactive; the number of its waiting job or ''
local function look(id, ask)
  local u = load(id)
  if not u then
    redis.call('ZREM', dueKey, id)
    return { -1, '', '' }
  end
  local version, after, announced = u.version, -1, ''
  settle(u)
  if u.version ~= version then announced = u.announced and 'active' or 'inactive' end
  -- It is at work right now, and ends by itself.
  local idle = next(u.sessions) == nil and not u.announced
  if idle and u.job == ask then u.job = nil end
  local at = save(u)
  if at then after = math.max(jobDelay(u, at), hold() ~= '' and 1000 or 0) end
  return { after, announced, u.job or '' }
end

local answers = {}
for n = 5, #ARGV, 3 do
  local shard, userId, ask = unpack(ARGV, n, n + 2)
  useShard(tonumber(shard))
  answers[#answers + 1] = look(userId, ask)
end
return wakeAll(answers, math.floor(#KEYS / 12))
