-- needs: save plain
-- Heartbeats of users of one shard of whom more may follow than that they are here: those that touch-plain left, and those
-- that were kept while Redis was away.
-- ARGV  5.. in fives: userId, sid, conn, moment, state (sid: the session; moment: of the beat, ms, or, not above 0, its age with a
--       minus; state: said with it, a, i or '')
-- Returns { wake, n, code, n, code, … } for the beats (counted from 1) that were not taken:
--   missing  Redis does not know the session: open it again with mode `restore`
--   replaced, logout   the session was taken over, or ended: close the connection
local result = { 0 }

local function take(n, id, sid, conn, beat, state)
  local function reject(code)
    result[#result + 1] = n
    result[#result + 1] = code
  end
  writeTaken()
  local u = load(id)
  if not u then return reject('missing') end
  local s = u.sessions[sid]
  -- A session that is overdue simply goes on where another one kept the user active: nothing was told of it.
  if not (s and s.conn == conn and isVisible(u) and u.announced and lastDeadline(u) > now) then
    settle(u)
    s = u.sessions[sid]
  end
  if s and s.conn ~= conn then reject('replaced')
  elseif isRefused(u, conn) then reject('logout')
  elseif not s then reject('missing')
  else
    if state == 'i' and s.state ~= 'i' then wasActiveUntil(u, beat) end
    if state ~= '' then s.state = state end
    if beat > s.beat or s.ahead then s.beat = beat end
    u.dirty[sid] = true
    heard(u, s.beat)
    tell(u, 'heartbeat', sid)
  end
  save(u)
  unmarkPlain(0, id)
end

for n = 0, (#ARGV - 4) / 5 - 1 do
  local base = 5 + n * 5
  local userId, sid, conn, moment, state = ARGV[base], ARGV[base + 1], ARGV[base + 2], tonumber(ARGV[base + 3]), ARGV[base + 4]
  if moment > 0 then take(n + 1, userId, sid, conn, moment, state)
  elseif not takePlainly(0, userId, sid, conn .. '|l|', lateness - moment, state) then
    take(n + 1, userId, sid, conn, now + moment - lateness, state)
  end
end
writeTaken()
writePlain(0, dueKey, seenKey, apartDueKey, apartActiveKey)
return wake(result)
