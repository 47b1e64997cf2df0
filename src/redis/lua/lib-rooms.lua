-- needs: settle
-- The rooms that a user's sessions are in: the truth, in the user's slot, so that they end in the same step as the sessions. What
-- a room's own list shows is made of what is told here (lib-room.lua).
--
-- Of a room that a session is in there is a text:
--   since (ms), and a line for each session there: its name, and behind a blank the data it said last (JSON). Who said
--   any last stands last. A ? before the name: the connection before was in it, and this one has not said that it stays
-- It stands in the user's record as `h:<room>`, with `-` for the record's only session, and without the first line where that is like the
-- sequence in `z`. What is long, and what is more than so many rooms, stands in the hash `user:rooms:<id>` instead, all of it in full.
-- The record has in
--   z   sequence of what was told last of rooms; and while the user is in any |1 where they are told of, |the mark by which,
--       |i where told as idle, |until when those with a ? stay (ms). Where that would be |1|0|| it is | alone
local UNCLAIMED_MS, MAX_OF_USER = 2000, 200
-- Redis packs the hash as long as no name and no text in it is longer.
local PACKED, MOST_IN_RECORD = 64, 8
local ONLY = '-'

-- What was told last: its sequence, nil where nothing was; and while the user is in any room whether they are told of, by which mark,
-- `i` where told as idle, and until when those with a ? stay (ms).
local function toldOfRooms(u)
  local known = u.known.z or ''
  local sequence, told, mark, idle, till = string.match(known, '^(%d+)|([01])|([^|]*)|(i?)|(%d*)$')
  if sequence then return tonumber(sequence), told == '1', mark, idle, tonumber(till) end
  sequence = tonumber(string.match(known, '^%d+'))
  if string.find(known, '|', 1, true) then return sequence, true, '0', '', nil end
  return sequence
end

-- `only`: what `-` stands for; `sequence`: since when where the text does not say so.
local function readRoom(text, only, sequence)
  local room = { since = sequence, sessions = {} }
  for line in string.gmatch(text, '[^\n]+') do
    -- The name of a session begins with a letter.
    if string.find(line, '^%d') then room.since = tonumber(line)
    else
      local unclaimed, sid, data = string.match(line, '^(%??)(%S+) ?(.*)$')
      room.sessions[#room.sessions + 1] = { sid = sid == ONLY and only or sid, unclaimed = unclaimed ~= '', data = data }
    end
  end
  return room
end

local function packRoom(room, only, sequence)
  local lines = {}
  if room.since ~= sequence then lines[1] = whole(room.since) end
  for _, own in ipairs(room.sessions) do
    lines[#lines + 1] = (own.unclaimed and '?' or '') .. (own.sid == only and ONLY or own.sid) .. (own.data ~= '' and ' ' .. own.data or '')
  end
  return table.concat(lines, '\n')
end

-- What others see of what was said, '' for nothing.
local function dataIn(room) return room.sessions[#room.sessions].data end

-- The rooms of a user by name, each with `since` and `sessions`.
local function roomsOf(u)
  if u.rooms then return u.rooms end
  u.rooms, u.roomsBefore = {}, {}
  if not u.known.z or not string.find(u.known.z, '|', 1, true) then return u.rooms end
  local sequence = toldOfRooms(u)
  local function add(name, text, inRecord)
    local room = readRoom(text, inRecord and u.onlyBefore, sequence)
    u.rooms[name] = room
    u.roomsBefore[name] = { text = text, inRecord = inRecord, since = room.since, data = dataIn(room) }
  end
  local flat = redis.call('HGETALL', roomsKey(u.id))
  for n = 1, #flat, 2 do add(flat[n], flat[n + 1], false) end
  for field, text in pairs(u.known) do
    if string.sub(field, 1, 2) == 'h:' then add(string.sub(field, 3), text, true) end
  end
  return u.rooms
end

local function placeIn(room, sid)
  for n, own in ipairs(room and room.sessions or {}) do
    if own.sid == sid then return n end
  end
end

-- A session is in a room from now on, or since the moment that is named; `data` '' says nothing new.
local function putInRoom(u, name, sid, data, since)
  local rooms = roomsOf(u)
  local room = rooms[name]
  if not room then
    room = { since = now, sessions = {} }
    rooms[name] = room
  end
  if since and since < room.since then room.since = since end
  local at = placeIn(room, sid)
  if at and data == '' then
    room.sessions[at].unclaimed = false
    return
  end
  if at then table.remove(room.sessions, at) end
  table.insert(room.sessions, data == '' and 1 or #room.sessions + 1, { sid = sid, unclaimed = false, data = data })
end

-- Whether the session was there.
local function takeOutOfRoom(u, name, sid)
  local rooms = roomsOf(u)
  local at = placeIn(rooms[name], sid)
  if not at then return false end
  table.remove(rooms[name].sessions, at)
  if #rooms[name].sessions == 0 then rooms[name] = nil end
  return true
end

local function isInRoom(u, sid)
  for _, room in pairs(roomsOf(u)) do
    if placeIn(room, sid) then return true end
  end
  return false
end

-- Whether the user would be in too many rooms with these ({ name, … }), which a session is in from now on instead of those of `before`.
local function wouldCrowd(u, names, before)
  local count, counted = 0, {}
  local function add(name)
    if not counted[name] then counted[name], count = true, count + 1 end
  end
  for _, name in ipairs(names) do add(name) end
  for name, room in pairs(roomsOf(u)) do
    for _, own in ipairs(room.sessions) do
      if not before[own.sid] then add(name) end
    end
  end
  return count > MAX_OF_USER
end

-- A session goes on where those before it (names as keys) were: in the rooms that it names, a line each behind a first with `=`, with
-- `data` behind a blank; or, where it names none (''), for a moment in all of them, unless it says so again. False where these are too many.
local function claimRooms(u, sid, before, roomsText)
  if roomsText == '' and not (u.known.z and string.find(u.known.z, '|', 1, true)) then return true end
  local names, said = {}, {}
  for name, data in string.gmatch(roomsText, '\n(%S+) ([^\n]*)') do
    names[#names + 1] = name
    said[#said + 1] = data
  end
  if wouldCrowd(u, names, before) then return false end
  for name, room in pairs(roomsOf(u)) do
    local mine
    for n = #room.sessions, 1, -1 do
      local own = room.sessions[n]
      if before[own.sid] then
        if mine then table.remove(room.sessions, n) else mine, own.sid, own.unclaimed = own, sid, true end
      end
    end
    if mine then u.roomsUntil = now + UNCLAIMED_MS end
  end
  for n, name in ipairs(names) do putInRoom(u, name, sid, said[n]) end
  if roomsText ~= '' then
    for name, room in pairs(roomsOf(u)) do
      local at = placeIn(room, sid)
      if at and room.sessions[at].unclaimed then takeOutOfRoom(u, name, sid) end
    end
    u.roomsUntil = nil
  end
  return true
end

-- How strictly the user is shown in rooms: 0 to everybody; else the letter of the visibility, and the mark, so that every other
-- revision is another value.
local function roomAccess(u)
  if u.mark == '0' then return '0' end
  local _, visibility = readPrivacy(u.id)
  return (u.mark == UNMARKED and 'n' or visibility) .. u.mark
end

-- Puts what the rooms are now where they stand from now on; `save` writes what of it stands in the record, where `z` has this sequence.
local function writeRooms(u, sequence)
  local before, only, inRecord = u.roomsBefore, onlyOf(u.sessions), 0
  u.roomFields = {}
  for name, was in pairs(before) do
    if was.inRecord and u.rooms[name] then inRecord = inRecord + 1 end
    if not u.rooms[name] then
      if was.inRecord then u.roomFields[name] = false else redis.call('HDEL', roomsKey(u.id), name) end
    end
  end
  for name, room in pairs(u.rooms) do
    local was, text = before[name] or {}, packRoom(room, only, sequence)
    if #name + 2 <= PACKED and #text <= PACKED and (was.inRecord or inRecord < MOST_IN_RECORD) then
      if not was.inRecord then inRecord = inRecord + 1 end
      if was.inRecord == false then redis.call('HDEL', roomsKey(u.id), name) end
      u.roomFields[name] = text
    else
      if was.inRecord then u.roomFields[name] = false end
      text = packRoom(room)
      if was.inRecord ~= false or was.text ~= text then redis.call('HSET', roomsKey(u.id), name, text) end
    end
  end
end

-- Writes back what rooms the user is in and tells what differs from what was told last; before the record is written.
local function saveRooms(u)
  local sequence, wasTold, byMark, wasIdle, till = toldOfRooms(u)
  if wasTold == nil and not u.rooms then return end
  sequence = sequence or 0
  till = u.roomsUntil or till
  -- One that lies further ahead is of a clock that was set back since.
  if till then till = math.min(till, now + UNCLAIMED_MS) end
  local isOver = till and till <= now
  local isTold, visible, idle = wasTold == true, isVisible(u) and not u.showing, ''
  -- As others were told last of the detail, and so as seldom.
  local detail = u.toldDetail == '?' and detailOf(u) or u.toldDetail
  if visible and withoutIdle(detail) ~= detail then idle = 'i' end
  local asTold = isTold == visible and (not visible or (byMark == u.mark and wasIdle == idle))
  if u.rooms or isOver or not asTold or next(u.gone) ~= nil or onlyOf(u.sessions) ~= u.onlyBefore then
    local rooms, before, news, access = roomsOf(u), u.roomsBefore, {}, roomAccess(u)
    for name, room in pairs(rooms) do
      for n = #room.sessions, 1, -1 do
        local own = room.sessions[n]
        if not u.sessions[own.sid] or (isOver and own.unclaimed) then table.remove(room.sessions, n) end
      end
      if #room.sessions == 0 then rooms[name] = nil end
    end
    if isOver then till = nil end
    for name in pairs(before) do
      if isTold and not (visible and rooms[name]) then news[#news + 1] = '"' .. name .. '":0' end
    end
    for name, room in pairs(rooms) do
      local was = before[name]
      -- Who appeared inactive comes only now.
      if visible and was and not isTold then room.since = now end
      local data = dataIn(room)
      if visible and not (was and asTold and was.since == room.since and was.data == data) then
        news[#news + 1] = string.format('"%s":[%s,"%s","%s",%s]', name, whole(room.since), access, idle, data == '' and 'null' or data)
      end
    end
    if #news > 0 then
      sequence = math.max(now, sequence + 1)
      u.roomsTold = { whole(sequence), '{' .. table.concat(news, ',') .. '}' }
      append('rooms', u, 'sequence', u.roomsTold[1], 'rooms', u.roomsTold[2])
    end
    writeRooms(u, sequence)
    u.roomsState = whole(sequence)
    if next(rooms) ~= nil then
      local state = table.concat({ '', visible and '1' or '0', u.mark, idle, till and whole(till) or '' }, '|')
      u.roomsState = u.roomsState .. (state == '|1|0||' and '|' or state)
    else
      till = nil
    end
  end
  -- Looked at when they end, like whatever else is owed.
  if till then u.owed = math.min(u.owed or till, till) end
end
