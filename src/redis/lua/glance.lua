-- needs: time
-- Whether users are active and when they were last seen, as far as there is nothing more to it: nobody has to be settled, and
-- everybody may see them (or the caller everything). All in one text, for it is asked of a thousand at once.
-- KEYS  any of the shard's; in a cluster its `never` behind it
-- ARGV  5 seesAll: true for one who sees everything  6.. userId
-- Returns { for each user a letter and 24 characters: a active, i inactive, and the last seen (ISO-8601, or blanks); x and blanks for one
--   of whom `read-statuses` has to be asked }
local seesAll = ARGV[5]
local AT_ONCE = 250
local NEVER = string.rep(' ', 24)
local ELSE = 'x' .. NEVER

local users = {}
for n = 6, #ARGV do
  local userId = ARGV[n]
  users[n - 5] = userId
end

local function ofActive(key, lastSeen)
  local announced, mark = unpack(redis.call('HMGET', key, 'a', 'r'))
  if announced ~= '1' or not (seesAll == 'true' or mark == '0') or #lastSeen ~= 24 then return ELSE end
  return 'a' .. lastSeen
end

local function ofInactive(key)
  local announced, mark, version, recorded, hiddenUntil, choiceUnknown =
    unpack(redis.call('HMGET', key, 'a', 'r', 'v', 'l', 'h', 'p'))
  local till = tonumber(hiddenUntil or '')
  local settled = version and announced ~= '1' and not choiceUnknown and not (till and till >= 0 and till <= now)
  if not settled or not (seesAll == 'true' or mark == '0') then return ELSE end
  if not recorded or recorded == '' then return 'i' .. NEVER end
  local text = string.find(recorded, 'T', 1, true) and recorded or iso(tonumber(recorded))
  return #text == 24 and 'i' .. text or ELSE
end

local result = {}
for from = 1, #users, AT_ONCE do
  local to = math.min(from + AT_ONCE - 1, #users)
  local keys = {}
  for n = from, to do
    keys[#keys + 1] = statusKey(users[n])
    keys[#keys + 1] = lastSeenKey(users[n])
  end
  local values = redis.call('MGET', unpack(keys))
  for n = from, to do
    local place, key = 2 * (n - from), recordKey(users[n])
    result[n] = values[place + 1] and ofActive(key, values[place + 2] or '') or ofInactive(key)
  end
end
return { table.concat(result) }
