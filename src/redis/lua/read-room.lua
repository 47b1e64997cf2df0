-- needs: picture
-- A page of who is in a room.
-- KEYS and the first of ARGV: lib-room.lua
-- ARGV  6 epoch: by which the caller knows this store, or ''  7 name: of the room  8 after: the user behind whom it begins, or ''  9 most: how many users
--       10 known: version of the last change by which the caller knows this page, or ''
-- Returns the picture (lib-picture.lua), of which the first three alone where the caller knows the rest
local epoch, name, after, most, known = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9]), ARGV[10]
if known ~= '' then
  local version = redis.call('HGET', stateKey(name), 'v')
  if version == known then return { versionShown({ version = tonumber(version) }), isUnsettled(epoch) and 1 or 0, version } end
end
return pictureOf(name, after, most, epoch)
