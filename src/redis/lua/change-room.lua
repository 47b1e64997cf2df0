-- needs: save
-- Sessions of users of a node's shards come to rooms, say something of themselves there, or leave them; or a user is put out of one, with
-- all sessions.
-- ARGV  5.. in nines: shard, userId, sid, conn, action, name, data, maxRooms, since
--       (shard: its place among the keys; sid: the session, '' where the user is put out; conn: that has to hold the session, '' for any;
--       action: join | return (to where it was before Redis forgot that) | update | leave; name: of the room; data: JSON, or '' where
--       nothing new is said; maxRooms: of a session; since: when they came, of a session that Redis had lost (ms), else 0)
-- Returns { { wake of each shard }, { code, sequence of what is told of the user's rooms or '', the same as JSON, since (ms) or '', the
--   session's own data or '', the connections that were put out, with blanks between }, … }
--   code: ok | missing (no such session: restore it first) | full (too many rooms) | absent (the session is not there)

local function change(userId, sid, conn, action, name, data, maxRooms, since)
  local u = load(userId)
  if not u then return { sid == '' and 'absent' or 'missing', '', '', '', '', '' } end
  settle(u)
  local conns = {}

  local function answer(code)
    save(u)
    local told, room = u.roomsTold or { '', '' }, roomsOf(u)[name]
    local own = room and room.sessions[placeIn(room, sid) or 0]
    return { code, told[1], told[2], room and whole(room.since) or '', own and own.data or '', table.concat(conns, ' ') }
  end

  local function isFull()
    local ofSession = 0
    for _, room in pairs(roomsOf(u)) do
      if placeIn(room, sid) then ofSession = ofSession + 1 end
    end
    return ofSession >= maxRooms or wouldCrowd(u, { name }, {})
  end

  if sid == '' then
    local room = roomsOf(u)[name]
    if not room then return answer('absent') end
    for _, own in ipairs(room.sessions) do
      local s = u.sessions[own.sid]
      if s and s.conn ~= NOBODY then conns[#conns + 1] = s.conn end
    end
    roomsOf(u)[name] = nil
    if #conns > 0 then append('put_out', u, 'room', name, 'conns', table.concat(conns, ' '), 'at', whole(now)) end
    return answer('ok')
  end

  local s = u.sessions[sid]
  if not s or (conn ~= '' and s.conn ~= conn) then return answer('missing') end
  if action == 'leave' then return answer(takeOutOfRoom(u, name, sid) and 'ok' or 'absent') end
  local isThere = placeIn(roomsOf(u)[name], sid)
  if action == 'update' and not isThere then return answer('absent') end
  if not isThere and isFull() then return answer('full') end
  -- Whoever had fallen silent, which Redis knows, has come anew.
  local goesOn = since > 0 and since <= now and (action == 'return' or u.cause == 'restored')
  putInRoom(u, name, sid, data, goesOn and since)
  return answer('ok')
end

local answers = {}
for n = 5, #ARGV, 9 do
  local shard, userId, sid, conn, action, name, data, maxRooms, since = unpack(ARGV, n, n + 8)
  useShard(tonumber(shard))
  answers[#answers + 1] = change(userId, sid, conn, action, name, data, tonumber(maxRooms), tonumber(since))
end
return wakeAll(answers, math.floor(#KEYS / 12))
