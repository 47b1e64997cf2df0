-- needs: time streams
-- What others are shown of the rooms of a shard: a projection of what is told of users (lib-rooms.lua), never the truth. What
-- changes in a list is an entry of the outbox of the room's shard, with the room's next version.
--
-- KEYS  1 outboxKey  2 wakeDeliverKey  3 wakeRecordKey  4 countsKey: sorted set, room → how many are there  5 leftKey: sorted set,
--       room and user → sequence of a leaving: what was told before it comes too late  6 owedKey: sorted set, what is to be told a little
--       later → when (ms)  7 saidKey: sorted set, room and user → when it was told last what they said (ms)
--       8 epochKey  9 unsettledKey: exists while it is not known who is in rooms, for Redis has lost something
--      10.. keysOfShard: the same nine of each further shard of the node, for scripts that take several
-- ARGV  from 1 to 4 see lib-time.lua  5 limit: above so many users a room is told as a count
--
-- Of a room there are
--   room:users:<room>   sorted set, all with the score 0: `<user> <sequence> <since> <access> <i where idle> <data>` (access: lib-rooms.lua);
--                       nothing for a `since` like the sequence and for the access 0, and no blanks in the end
--   room:closed:<room>  hash, user → access, of those whom not everybody may see all of
--   room:state:<room>   hash  v version  b 1 while it is told as a count  c when that was told last (ms)
--                             e how many in `closed` have the visibility everyone  o 1 once told as occupied
local outboxKey, wakeDeliverKey, wakeRecordKey, countsKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leftKey, owedKey, saidKey, epochKey, unsettledKey = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local limit = tonumber(ARGV[5])

-- Counted from 1.
local function useShard(place)
  local keysOfShard = { unpack(KEYS, 9 * place - 8, 9 * place) }
  outboxKey, wakeDeliverKey, wakeRecordKey, countsKey, leftKey = unpack(keysOfShard)
  owedKey, saidKey, epochKey, unsettledKey = unpack(keysOfShard, 6)
end

local LEFT_MS, EMPTY_MS, COUNT_MS, VACANT_MS = 30000, 120000, 1000, 3000
-- How often others are told what one user says, in rooms of up to so many and in larger ones.
local SMALL, SAID_MS, SAID_IN_LARGE_MS = 100, 100, 1000
local OWED_AT_ONCE = 500

local function usersKey(name) return stem .. 'room:users:' .. tag .. name end
local function closedKey(name) return stem .. 'room:closed:' .. tag .. name end
local function stateKey(name) return stem .. 'room:state:' .. tag .. name end

local function readMember(text)
  if not text then return nil end
  local user, sequence, since, access, idle, data = string.match(text, '^(%S+) (%d+) ?(%d*) ?(%S*) ?(i?) ?(.*)$')
  if since == '' then since = sequence end
  return { text = text, user = user, sequence = tonumber(sequence), since = since, access = access == '' and '0' or access, idle = idle, data = data }
end

local function newMember(user, sequence, since, access, idle, data)
  local text = table.concat({ user, sequence, since == sequence and '' or since, access == '0' and '' or access, idle, data }, ' ')
  if data == '' then text = string.match(text, '^(.-) *$') end
  return { text = text, user = user, sequence = tonumber(sequence), since = since, access = access, idle = idle, data = data }
end

-- No id has a character between the blank and the `!` behind it.
local function memberOf(name, user)
  return readMember(redis.call('ZRANGEBYLEX', usersKey(name), '[' .. user .. ' ', '(' .. user .. '!', 'LIMIT', 0, 1)[1])
end

local seen = {}
local function roomOf(name)
  local room = seen[name]
  if room then return room end
  local version, big, countedAt, everyone, occupied = unpack(redis.call('HMGET', stateKey(name), 'v', 'b', 'c', 'e', 'o'), 1, 5)
  version = tonumber(version or 0)
  room = { name = name, version = version, versionBefore = version, big = big == '1', countedAt = tonumber(countedAt or 0),
    everyone = tonumber(everyone or 0), occupied = occupied == '1', all = redis.call('ZCARD', usersKey(name)),
    closed = redis.call('HLEN', closedKey(name)) }
  seen[name] = room
  return room
end

-- How many are there; of whom everybody may see all; who have the visibility everyone.
local function countsOf(room)
  local open = room.all - room.closed
  return room.all .. ' ' .. open .. ' ' .. open + room.everyone
end

-- Whether lists and counts may lack somebody, or have somebody who has left.
local function isUnsettled(epoch)
  if redis.call('EXISTS', unsettledKey) == 1 then return true end
  return epoch ~= '' and redis.call('GET', epochKey) ~= epoch
end

-- A picture of now, or of the last change where that is later: whatever is told after it is newer.
local function versionShown(room) return whole(math.max(room.version, now - 1)) end
