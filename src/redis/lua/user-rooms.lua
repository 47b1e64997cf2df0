-- needs: save
-- The rooms that some users are in, settled first: what is to stand in the rooms' own lists, and which sessions are there.
-- ARGV  5.. userId
-- Returns { wake, { sequence of what was told last of the user's rooms ('0': of none), 1 where they are told of, access, 1 where
--   told as idle, { room, since (ms), data or '', a line for each session there: its name, a blank, and the data it said last, … } } for each user }
local result = { 0 }
for n = 5, #ARGV do
  local userId = ARGV[n]
  local u = load(userId)
  local flat = {}
  if u then
    settle(u)
    save(u)
    for name, room in pairs(roomsOf(u)) do
      local lines = {}
      for _, own in ipairs(room.sessions) do lines[#lines + 1] = own.sid .. ' ' .. own.data end
      for _, value in ipairs({ name, whole(room.since), dataIn(room), table.concat(lines, '\n') }) do flat[#flat + 1] = value end
    end
  end
  local sequence, told, access, idle = 0, nil, '0', nil
  if u then
    local _
    sequence, told, _, idle = toldOfRooms(u)
    access = roomAccess(u)
  end
  result[#result + 1] = { whole(sequence or 0), told and 1 or 0, access, idle == 'i' and 1 or 0, flat }
end
return wake(result)
