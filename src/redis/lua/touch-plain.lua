-- Heartbeats of many users, gathered by a web process, as far as they change nothing but the time: the session is the
-- connection's and not overdue, the user is plainly active, the beat is fresh and says nothing new. Whatever else a beat
-- may mean is left to touch-sessions.
-- KEYS  in fours, for a shard each: due, seen, apartDue, apartActive (see lib.lua); in a cluster its `never` behind them
-- ARGV  5.. in sixes: which of the shards (from 0), user, session, conn, age of the beat (ms), state said with it (a, i or '')
-- Returns { place of a beat that is left (from 1), its moment (ms), … }
local result = {}
-- By shard: when the users have to be looked at next, and when they were last seen; until when they are active where that
-- is not the same as the first. Written in one go.
local moved, heard, apart = {}, {}, {}
local expires = whole(now + ttl)

local function note(lists, shard, id, score)
  local scores = lists[shard]
  if not scores then scores = {}; lists[shard] = scores end
  scores[id] = score
end

for n = 0, (#ARGV - 4) / 6 - 1 do
  local base = 5 + n * 6
  local shard, id, sid, conn = tonumber(ARGV[base]), ARGV[base + 1], ARGV[base + 2], ARGV[base + 3]
  local age, state = tonumber(ARGV[base + 4]) + lateness, ARGV[base + 5]
  local key = recordKey(id)
  local known = redis.call('HMGET', key, 's:' .. sid, 'b:' .. sid, 'x')
  local value, heardBefore, detailUntil = known[1], tonumber(known[2] or ''), tonumber(known[3] or '')
  local plain = value and age <= 1000 and (heardBefore or 0) + ttl > now and string.sub(value, 1, #conn + 3) == conn .. '|l|'
    and (state == '' or string.match(value, '^[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|([^|]*)|') == state)
  -- `XX` fails where the user's deadline has passed or they appear inactive.
  if plain and redis.call('SET', statusKey(id), 'active', 'PX', ARGV[3], 'XX') then
    local beat = now - age
    local text = iso(beat)
    local before = redis.call('SET', lastSeenKey(id), text, 'GET')
    if before and before > text then
      -- Something was heard later: of another session, or of this one by a beat that overtook this.
      redis.call('SET', lastSeenKey(id), before)
      beat = math.max(beat, heardBefore)
    else
      note(heard, shard, id, whole(beat))
    end
    redis.call('HSET', key, 'b:' .. sid, whole(beat))
    local due = expires
    if detailUntil then
      due = whole(math.min(now + ttl, detailUntil))
      note(apart, shard, id, due)
    end
    note(moved, shard, id, due)
  else
    result[#result + 1] = n + 1
    result[#result + 1] = whole(now - age)
  end
end

local function write(lists, place)
  for shard, scores in pairs(lists) do
    local flat = {}
    for id, score in pairs(scores) do
      flat[#flat + 1] = score
      flat[#flat + 1] = id
    end
    for n = 1, #flat, 2000 do redis.call('ZADD', KEYS[shard * 4 + place], unpack(flat, n, math.min(n + 1999, #flat))) end
  end
end
write(moved, 1)
write(heard, 2)
write(apart, 3)
for _, scores in pairs(apart) do
  for id in pairs(scores) do scores[id] = expires end
end
write(apart, 4)
return result
