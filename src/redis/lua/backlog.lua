-- needs: streams
-- Whether a group still has something to do in a shard.
-- KEYS  1 outbox  2 unrecorded
-- ARGV  1 group
-- Returns { 1 } where it has, else { 0 }
local outbox, unrecorded, name = KEYS[1], KEYS[2], ARGV[1]
if redis.call('EXISTS', unrecorded) == 1 then return { 1 } end
local last = lastIdOf(outbox)
for _, group in ipairs(groupsOf(outbox)) do
  if group.name == name and hasWork(group, last) then return { 1 } end
end
return { 0 }
