-- needs: status
-- What others may know of some users, of whom most need nothing to be settled first.
-- KEYS  any of the shard's; in a cluster its `never` behind it
-- ARGV  5 viewer: '' for one who sees everything  6.. userId
-- Returns { status, lastSeen, version, detail, access, … } five per user as in lib-status.lua; where the status is -3 `snapshot`
--   has to be asked
local viewer = ARGV[5]
local result = {}
for n = 6, #ARGV do
  local userId = ARGV[n]
  local status, lastSeen, version, detail, mark = readStatus(userId)
  show(result, viewer, userId, mark, status, lastSeen, version, detail)
end
return result
