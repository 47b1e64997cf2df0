-- needs: picture
-- Brings lists of the rooms of a node's shards up to what was told of users, tells what is new by it, and what was put off and is due.
-- What was applied already, or is older than what was, does nothing: so it may be said by whoever made it and by the drain.
-- KEYS and the first of ARGV: lib-room.lua
-- ARGV  6 most: users in a picture  7 trace: W3C's `traceparent`, or ''
--       8.. in parts: epoch, wanted, told, pictured, name, user, sequence, since, access, idle, data, fed
--       (a part for each shard; epoch: by which the caller knows this store, or ''; wanted: of how many rooms a picture is wanted, which
--       stand behind `told`; told: how many eights from `name` on stand behind them; since: of a room, '' where they left; idle: i or '';
--       fed: 1 where backends are told when the room becomes occupied or vacated)
-- Returns for each shard { wake, ms until something is owed (-1: nothing is), { picture (lib-picture.lua), … } }
local most, trace = tonumber(ARGV[6]), ARGV[7]
local storeEpoch
local appended, forRecord = false, false
-- Whether something is to be told a little later, somebody has left, and said something that was told.
local owing, hasLeft, hasSaid = false, false, false

-- Fields of an entry: outbox-entry.ts. `by`: the sequence of what was told of the user, which the list has from now on.
local function append(room, what, member, was, by)
  room.version = math.max(now, room.version + 1)
  local fields = { 'what', what, 'version', whole(room.version), 'counts', countsOf(room), 'since', member and member.since or '',
    'access', member and member.access or '', 'was', was or '', 'idle', member and member.idle or '', 'data', member and member.data or '', 'sequence', by and whole(by) or '' }
  local user = member and member.user or ''
  if trace == '' then redis.call('XADD', outboxKey, '*', 'kind', 'room', 'user', user, 'room', room.name, unpack(fields))
  else redis.call('XADD', outboxKey, '*', 'kind', 'room', 'user', user, 'trace', trace, 'room', room.name, unpack(fields)) end
  appended = true
end

local function owe(what, at)
  redis.call('ZADD', owedKey, 'NX', whole(at), what)
  owing = true
end

local function tellCount(room)
  if now - room.countedAt < COUNT_MS and now >= room.countedAt then return owe('c ' .. room.name, room.countedAt + COUNT_MS) end
  room.countedAt = now
  append(room, 'count')
end

local function tell(room, what, member, was, by)
  if room.big then tellCount(room) else append(room, what, member, was, by) end
end

-- What somebody says is told at most so often, the newest in the end.
local function tellSaid(room, member)
  if room.big then return end
  local pair = room.name .. ' ' .. member.user
  local every = room.all > SMALL and SAID_IN_LARGE_MS or SAID_MS
  local last = tonumber(redis.call('ZSCORE', saidKey, pair) or '')
  if last and last <= now and now - last < every then return owe('s ' .. pair, last + every) end
  redis.call('ZADD', saidKey, whole(now), pair)
  hasSaid = true
  redis.call('PEXPIRE', saidKey, 2 * SAID_IN_LARGE_MS)
  append(room, 'changed', member, nil, member.sequence)
end

local function noteAccess(room, was, member)
  local before, after = was and was.access or '0', member and member.access or '0'
  if before == after then return end
  local user = (was or member).user
  if string.sub(before, 1, 1) == 'e' then room.everyone = room.everyone - 1 end
  if string.sub(after, 1, 1) == 'e' then room.everyone = room.everyone + 1 end
  if before ~= '0' and after == '0' then
    redis.call('HDEL', closedKey(room.name), user)
    room.closed = room.closed - 1
  elseif after ~= '0' then
    redis.call('HSET', closedKey(room.name), user, after)
    if before == '0' then room.closed = room.closed + 1 end
  end
end

-- Above the limit the count alone is told, until it is below nine tenths of that.
local function noteSize(room)
  if not room.big and room.all > limit then
    room.big = true
    room.countedAt = now
    append(room, 'count')
  elseif room.big and room.all < 0.9 * limit then
    room.big = false
    append(room, 'full')
  end
end

local function noteOccupied(room, fed)
  if room.all > 0 and not room.occupied and fed then
    room.occupied, forRecord = true, true
    append(room, 'occupied')
  elseif room.all == 0 and room.occupied then owe('v ' .. room.name, now + VACANT_MS)
  elseif room.all == 1 and room.occupied then redis.call('ZREM', owedKey, 'v ' .. room.name)
  end
end

local function apply(name, user, sequenceText, since, access, idle, data, fed)
  local sequence = tonumber(sequenceText)
  local pair = name .. ' ' .. user
  local was = memberOf(name, user)
  if was and was.sequence >= sequence then return end
  local leftBy = tonumber(redis.call('ZSCORE', leftKey, pair) or '')
  if leftBy and leftBy >= sequence then return end
  local room = roomOf(name)
  room.touched = true
  if was then redis.call('ZREM', usersKey(name), was.text) end
  room.changed = was or since ~= ''
  if since == '' then
    redis.call('ZADD', leftKey, sequenceText, pair)
    hasLeft = true
    redis.call('PEXPIRE', leftKey, 2 * LEFT_MS)
    if not was then return end
    room.all = room.all - 1
    noteAccess(room, was, nil)
    tell(room, 'left', was, nil, sequence)
    noteSize(room)
    return noteOccupied(room, fed)
  end
  if leftBy then redis.call('ZREM', leftKey, pair) end
  local member = newMember(user, sequenceText, since, access, idle, data)
  redis.call('ZADD', usersKey(name), 0, member.text)
  noteAccess(room, was, member)
  if not was then
    room.all = room.all + 1
    -- The one with whom the room becomes too large is in the count.
    if room.all > limit and not room.big then noteSize(room) else tell(room, 'joined', member, nil, sequence) end
    return noteOccupied(room, fed)
  end
  if was.since ~= member.since then tell(room, 'joined', member, was.access, sequence)
  elseif was.access ~= member.access then tell(room, 'sight', member, was.access, sequence)
  elseif was.data ~= member.data or was.idle ~= member.idle then tellSaid(room, member)
  end
end

local function tellOwed(what)
  redis.call('ZREM', owedKey, what)
  local kind, name, user = string.match(what, '^(%a) (%S+) ?(%S*)$')
  local room = roomOf(name)
  room.touched = true
  if kind == 'c' and room.big then tellCount(room)
  elseif kind == 's' then
    local member = memberOf(name, user)
    if member then tellSaid(room, member) end
  elseif kind == 'v' and room.all == 0 and room.occupied then
    -- Who was there may be about to come back.
    if isUnsettled(storeEpoch) then return owe(what, now + VACANT_MS) end
    room.occupied, forRecord = false, true
    append(room, 'vacated')
  end
end

local function finish(room)
  local key = stateKey(room.name)
  -- Who keeps a page of the list has to see that it is another now, told or not.
  if room.changed and room.version == room.versionBefore then room.version = math.max(now, room.version + 1) end
  redis.call('HSET', key, 'v', whole(room.version), 'e', room.everyone, 'c', whole(room.countedAt), 'b', room.big and '1' or '0', 'o',
    room.occupied and '1' or '0')
  if room.all > 0 then
    redis.call('PERSIST', key)
    redis.call('ZADD', countsKey, room.all, room.name)
  else
    redis.call('PEXPIRE', key, EMPTY_MS)
    redis.call('ZREM', countsKey, room.name)
  end
end

-- All shards together: no script is long.
local owedLeft = OWED_AT_ONCE
local function tellOwedBetween(from, to)
  if owedLeft == 0 then return end
  local due = redis.call('ZRANGEBYSCORE', owedKey, from, to, 'LIMIT', 0, owedLeft)
  owedLeft = owedLeft - #due
  for _, what in ipairs(due) do tellOwed(what) end
end

-- One shard, whose part of ARGV begins there. Returns what is answered for it, and where that of the next one begins.
local function applyShard(from)
  local epoch, wanted, told = ARGV[from], tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])
  local rooms, lines = {}, from + 3 + wanted
  for n = 1, wanted do
    local pictured = ARGV[from + 2 + n]
    rooms[n] = pictured
  end
  appended, forRecord, hasLeft, hasSaid, seen, storeEpoch = false, false, false, false, {}, epoch
  owing = redis.call('EXISTS', owedKey) == 1
  if owing then
    -- What is owed later than that is of a clock that was set back since.
    tellOwedBetween('(' .. whole(now + VACANT_MS), '+inf')
    tellOwedBetween('-inf', whole(now))
  end
  for n = lines, lines + 8 * told - 1, 8 do
    local name, user, sequence, since, access, idle, data, fed = unpack(ARGV, n, n + 7)
    apply(name, user, sequence, since, access, idle, data, fed == '1')
  end
  for _, room in pairs(seen) do
    if room.touched then finish(room) end
  end
  if hasLeft then redis.call('ZREMRANGEBYSCORE', leftKey, '-inf', whole(now - LEFT_MS)) end
  if hasSaid then redis.call('ZREMRANGEBYSCORE', saidKey, '-inf', whole(now - SAID_IN_LARGE_MS)) end

  local wakes = 0
  if forRecord then wakes = wakeBoth(wakeDeliverKey, wakeRecordKey) elseif appended then wakes = wakeOnce(wakeDeliverKey) end
  local first = owing and redis.call('ZRANGE', owedKey, 0, 0, 'WITHSCORES')[2]
  local pictures = {}
  for n, name in ipairs(rooms) do pictures[n] = pictureOf(name, '', most, epoch) end
  return { wakes, first and math.max(0, first - now) or -1, pictures }, lines + 8 * told
end

local answers, from = {}, 8
while from <= #ARGV do
  local place = #answers + 1
  if place > 1 then useShard(place) end
  answers[place], from = applyShard(from)
end
return answers
