-- needs: streams
-- Whether a group still has something to do in a shard.
-- KEYS  1 outboxKey  2 unrecordedKey
-- ARGV  1 groupName
-- Returns { 1 } where it has, else { 0 }
local outboxKey, unrecordedKey = KEYS[1], KEYS[2]
local groupName = ARGV[1]
if redis.call('EXISTS', unrecordedKey) == 1 then return { 1 } end
local last = lastIdOf(outboxKey)
for _, group in ipairs(groupsOf(outboxKey)) do
  if group.name == groupName and hasWork(group, last) then return { 1 } end
end
return { 0 }
