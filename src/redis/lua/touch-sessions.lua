-- Heartbeats of many users of one shard, gathered by a web process.
-- ARGV  5.. in fives: user, session, conn, age of the beat (ms), state said with it (a, i or '')
-- Returns { wake, n, code, n, code, … } for the beats (counted from 1) that were not simply taken:
--   missing  Redis does not know the session: open it again with mode `restore`
--   replaced, logout   the session was taken over, or ended: close the connection
local result = { 0 }
-- Of the users that were taken the quick way: when they have to be looked at next, and when they were last seen; until
-- when they are active where that is not the same as the first. Written in one go.
local moved, heard, apart = {}, {}, {}
local expires = whole(now + ttl)

local function refuse(n, code)
  result[#result + 1] = n
  result[#result + 1] = code
end

local function slow(n, id, sid, conn, beat, state)
  local u = load(id)
  if not u then return refuse(n, 'missing') end
  local s = u.sessions[sid]
  -- A session that is overdue simply goes on where another one kept the user active: nothing was told of it.
  if not (s and s.conn == conn and isVisible(u) and u.announced and lastDeadline(u) > now) then
    settle(u)
    s = u.sessions[sid]
  end
  if s and s.conn ~= conn then refuse(n, 'replaced')
  elseif isBuried(u, conn) then refuse(n, 'logout')
  elseif not s then refuse(n, 'missing')
  else
    if state ~= '' then s.state = state end
    if beat > s.beat then s.beat = beat end
    u.dirty[sid] = true
    seen(u, s.beat)
    edge(u, 'heartbeat', sid)
  end
  save(u)
  moved[id], heard[id], apart[id] = nil, nil, nil
end

for n = 0, (#ARGV - 4) / 5 - 1 do
  local base = 5 + n * 5
  local id, sid, conn, age, state = ARGV[base], ARGV[base + 1], ARGV[base + 2], tonumber(ARGV[base + 3]), ARGV[base + 4]
  age = age + lateness
  local key = recordKey(id)
  local known = redis.call('HMGET', key, 's:' .. sid, 'b:' .. sid, 'x')
  local value, heardBefore, detailUntil = known[1], tonumber(known[2] or ''), tonumber(known[3] or '')
  -- The quick way: the session is this connection's and not overdue, the user is plainly active, the beat is fresh and
  -- says nothing new. `XX` fails where the user's deadline has passed or they appear inactive.
  local plain = value and age <= 1000 and (heardBefore or 0) + ttl > now and string.sub(value, 1, #conn + 3) == conn .. '|l|'
    and (state == '' or unpackSession(value).state == state)
  if plain and redis.call('SET', statusKey(id), 'active', 'PX', ARGV[3], 'XX') then
    local beat = now - age
    local text = iso(beat)
    local before = redis.call('SET', lastSeenKey(id), text, 'GET')
    if before and before > text then
      -- Something was heard later: of another session, or of this one by a beat that overtook this.
      redis.call('SET', lastSeenKey(id), before)
      beat = math.max(beat, heardBefore)
    else
      heard[id] = whole(beat)
    end
    redis.call('HSET', key, 'b:' .. sid, whole(beat))
    moved[id] = expires
    if detailUntil then
      moved[id] = whole(math.min(now + ttl, detailUntil))
      apart[id] = moved[id]
    end
  else
    slow(n + 1, id, sid, conn, now - age, state)
  end
end
local function write(key, scores)
  local flat = {}
  for id, score in pairs(scores) do
    flat[#flat + 1] = score
    flat[#flat + 1] = id
  end
  for n = 1, #flat, 2000 do redis.call('ZADD', key, unpack(flat, n, math.min(n + 1999, #flat))) end
end
write(due, moved)
write(KEYS[9], heard)
write(KEYS[10], apart)
for id in pairs(apart) do apart[id] = expires end
write(KEYS[11], apart)
return wake(result)
