-- needs: streams
-- Up to where a group is done with a shard's outbox.
-- KEYS  1 outbox
-- ARGV  1 group
-- Returns { last id read by the group, oldest id it has not acknowledged or '' }
local outbox, name = KEYS[1], ARGV[1]
for _, group in ipairs(groupsOf(outbox)) do
  if group.name == name then return { group['last-delivered-id'], oldestOf(outbox, group) or '' } end
end
return { '0-0', '' }
