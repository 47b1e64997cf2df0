-- needs: streams
-- Up to where a group is done with a shard's outbox.
-- KEYS  1 outboxKey
-- ARGV  1 groupName
-- Returns { last id read by the group, oldest id it has not acknowledged or '' }
local outboxKey, groupName = KEYS[1], ARGV[1]
for _, group in ipairs(groupsOf(outboxKey)) do
  if group.name == groupName then return { group['last-delivered-id'], oldestOf(outboxKey, group) or '' } end
end
return { '0-0', '' }
