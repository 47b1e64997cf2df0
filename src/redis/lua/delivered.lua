-- Up to where a group is done with a shard's outbox.
-- KEYS  1 outbox
-- ARGV  1 group
-- Returns { last id read by the group, oldest id it has not acknowledged or '' }
if redis.call('EXISTS', KEYS[1]) == 0 then return { '0-0', '' } end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for n = 1, #flat, 2 do group[flat[n]] = flat[n + 1] end
  if group.name == ARGV[1] then
    local oldest = group.pending > 0 and redis.call('XPENDING', KEYS[1], ARGV[1])[2] or ''
    return { group['last-delivered-id'], oldest }
  end
end
return { '0-0', '' }
