-- needs: picture
-- A page of who is in a room.
-- KEYS and the first of ARGV: lib-room.lua
-- ARGV  6 epoch: by which the caller knows this store, or ''  7 name: of the room  8 after: the user behind whom it begins, or ''  9 most: how many users
-- Returns the picture (lib-picture.lua)
local epoch, name, after, most = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])
return pictureOf(name, after, most, epoch)
