-- needs: save plain
-- Leases of users of a node's shards are renewed, many at once. None is made.
-- ARGV  5.. in threes: shard, userId, sid (shard: its place among the keys; sid: the lease's session)
-- Returns { { wake of each shard }, { 1 where it was renewed, 0 where there is none }, … }
local function renew(id, sid)
  local u = load(id)
  if not u then return 0 end
  local s = u.sessions[sid]
  if not (s and isVisible(u) and u.announced and deadlineOf(s) > now) then
    settle(u)
    s = u.sessions[sid]
  end
  local renewed = s and s.standing == 'e'
  if renewed then
    if now - lateness > s.beat or s.ahead then s.beat = now - lateness end
    u.dirty[sid] = true
    heard(u, s.beat)
    tell(u, 'heartbeat', sid)
  end
  save(u)
  return renewed and 1 or 0
end

local answers = {}
for n = 5, #ARGV, 3 do
  local shard, userId, sid = unpack(ARGV, n, n + 2)
  shard = tonumber(shard)
  local renewed = 1
  if not takePlainly(shard, userId, sid, NOBODY .. '|e|', lateness, '') then
    writeTaken()
    useShard(shard)
    renewed = renew(userId, sid)
    unmarkPlain(shard, userId)
  end
  answers[#answers + 1] = { renewed }
end
writeTaken()
for shard = 1, math.floor(#KEYS / 12) do
  useShard(shard)
  writePlain(shard, dueKey, seenKey, apartDueKey, apartActiveKey)
end
return wakeAll(answers, math.floor(#KEYS / 12))
