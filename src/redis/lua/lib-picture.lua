-- needs: room
-- A room's list as a picture.

-- { version, 1 where it is not known who is there, version of the last change, counts, 1 where told as a count, { member, … } the first
--   `most` behind a user ('' from the beginning), 1 where there are more, { user, … } all of whom not everybody may see all, none of a
--   room above the limit }
local function pictureOf(name, after, most, epoch)
  local room = roomOf(name)
  local from = after == '' and '-' or '(' .. after .. '!'
  local members = redis.call('ZRANGEBYLEX', usersKey(name), from, '+', 'LIMIT', 0, most + 1)
  local more = #members > most and 1 or 0
  if more == 1 then members[#members] = nil end
  local closed = room.all <= limit and room.closed > 0 and redis.call('HKEYS', closedKey(name)) or {}
  return { versionShown(room), isUnsettled(epoch) and 1 or 0, whole(room.version), countsOf(room), room.big and 1 or 0, members, more, closed }
end
