-- needs: time
-- A heartbeat, or a lease's renewal, that changes nothing but the time: the session is the connection's (or a lease) and not overdue,
-- the user is plainly active, the beat is fresh and says nothing new, and no other session of theirs has another TTL.

-- By shard: when the users have to be looked at next, and when they were last seen; of those who are noted apart, the first and
-- until when they are active. Written in one go.
local moved, heardAt, apartDue, apartActive = {}, {}, {}, {}
-- Whole numbers are handed to commands as they are: unlike `..`, that keeps all their digits.
local expires = now + ttl

local function note(lists, shard, id, score)
  local scores = lists[shard]
  if not scores then scores = {}; lists[shard] = scores end
  scores[id] = score
end

-- Beats that were taken, of which only the status is written yet; by their numbers the TTLs of those that have one of their own, and what
-- is to be known of those whose user has idle sessions.
local taken, lastSeenKeys, ownTtls, idles = {}, {}, {}, {}

local STATE = '^[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|([^|]*)|'

-- Where others of the user's sessions are idle, one that is active moves the moment on (ms) from which the user is.
local function moveIdle(key, idle, deadline)
  if not idle.isMoved or deadline <= idle.at then return idle.at end
  redis.call('HSET', key, 'y', idle.ownText .. '|' .. whole(deadline))
  return deadline
end

-- True where it was all that there is to do. `holder`: how the session begins where it is who beats.
local function takePlainly(shard, id, sid, holder, age, state)
  if age > 1000 then return false end
  local key = recordKey(id)
  local known = redis.call('HMGET', key, 's:' .. sid, 'b:' .. sid, 'x', 'y')
  local value, heardBefore, detailUntil = known[1], tonumber(known[2] or ''), tonumber(known[3] or '')
  local ownText, idle = known[4], nil
  if ownText and string.byte(ownText) == 109 then return false end
  local own = ownText and tonumber(ownText)
  if ownText and not own then
    local before, at = string.match(ownText, '^(%d*)|(%d+)$')
    idle = { ownText = before, at = tonumber(at), isMoved = string.match(value or '', STATE) == 'a' }
    if idle.at <= now then return false end
    own = tonumber(before)
    ownText = own and before
  end
  local plain = value and (heardBefore or 0) + (own or ttl) > now and string.sub(value, 1, #holder) == holder
    and (state == '' or string.match(value, STATE) == state)
  -- `XX` fails where the user's deadline has passed or they appear inactive.
  if not plain or not redis.call('SET', statusKey(id), 'active', 'PX', ownText or ttlText, 'XX') then return false end
  taken[#taken + 1] = { shard, id, key, 'b:' .. sid, now - age, heardBefore, detailUntil }
  ownTtls[#taken], idles[#taken] = own or nil, idle
  lastSeenKeys[#lastSeenKeys + 1] = lastSeenKey(id)
  return true
end

-- Writes when those users and sessions were heard, but for what is written in one go.
local function writeTaken()
  if #taken == 0 then return end
  local before, after = redis.call('MGET', unpack(lastSeenKeys)), {}
  for n, beat in ipairs(taken) do
    local shard, id, key, field, at, heardBefore, detailUntil = unpack(beat, 1, 7)
    local own, idle = ownTtls[n], idles[n]
    local text = iso(at)
    local lists = heardAt[shard]
    local latest = lists and lists[id] and iso(lists[id]) or before[n]
    if latest and latest > text then
      -- Something was heard later: of another session, or of this one by a beat that overtook this; or by a clock that was set
      -- back since.
      if heardBefore and heardBefore <= now then at = math.max(at, heardBefore) end
    else
      after[#after + 1] = lastSeenKeys[n]
      after[#after + 1] = text
      note(heardAt, shard, id, at)
    end
    redis.call('HSET', key, field, at)
    local dueAt = expires
    if detailUntil or own or idle then
      local activeUntil = own and now + own or expires
      dueAt = detailUntil and math.min(activeUntil, detailUntil) or activeUntil
      if idle then
        -- Another session's beat may have moved it within this call.
        idle.at = math.max(idle.at, idles[key] or 0)
        idles[key] = moveIdle(key, idle, at + (own or ttl))
        dueAt = math.min(dueAt, idles[key])
      end
      note(apartDue, shard, id, dueAt)
      note(apartActive, shard, id, activeUntil)
    end
    note(moved, shard, id, dueAt)
  end
  if #after > 0 then redis.call('MSET', unpack(after)) end
  taken, lastSeenKeys, ownTtls, idles = {}, {}, {}, {}
end

-- Somebody of whom more was written since `writeTaken`.
local function unmarkPlain(shard, id)
  for _, lists in ipairs({ moved, heardAt, apartDue, apartActive }) do
    if lists[shard] then lists[shard][id] = nil end
  end
end

local function writePlain(shard, dueSet, seenSet, apartDueSet, apartActiveSet)
  local function write(key, scores)
    local flat = {}
    for id, score in pairs(scores or {}) do
      flat[#flat + 1] = score
      flat[#flat + 1] = id
    end
    for n = 1, #flat, 2000 do redis.call('ZADD', key, unpack(flat, n, math.min(n + 1999, #flat))) end
  end
  write(dueSet, moved[shard])
  write(seenSet, heardAt[shard])
  write(apartDueSet, apartDue[shard])
  write(apartActiveSet, apartActive[shard])
end
