-- needs: time
-- Counts whom a user asks for by name on this day of UTC, each once. Up to a hundred by a hash of each, exactly; from there on in a
-- bitmap in which each sets some bits (a Bloom filter): how many bits are set tells how many they were, to one percent. What
-- goes beyond the limit is refused whole and not counted. Who is new and finds all bits set passes for counted, a few percent of
-- them; so that nobody goes on by trying, what is refused is counted too, and beyond a bound everything is refused.
-- KEYS  1 looksKey: hash of hashes, then b (bits set) and x (refused)  2 bitsKey: bitmap  3 lookingKey: sorted set of the shard, user →
--         how many they looked at today, of those with more than a hundred
-- ARGV  5 userId  6 most  7 positions: bits for each  8 prints: eight bytes for each who is asked for
--       9 friendPrints: of the user's friends, who do not count; '' where nobody looked who they are
-- Returns { 0 counted | 1 refused, how much of the day is left (ms), how many were looked at, friends not among them }
local looksKey, bitsKey, lookingKey = KEYS[1], KEYS[2], KEYS[3]
local userId, most, positions, prints, friendPrints = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
local BITS, EXACTLY, DAY, AT_ONCE = 96000, 100, 86400000, 900
-- What passes for counted and was not may be so much of the limit.
local TOLERANCE = 0.02
local left = DAY - now % DAY

local function printsIn(text)
  local list, seen = {}, {}
  for at = 1, #text, 8 do
    local print = string.sub(text, at, at + 7)
    if not seen[print] then
      seen[print] = true
      list[#list + 1] = print
    end
  end
  return list
end

local function placesOf(print)
  local a, b = struct.unpack('>I4I4', print)
  local places = {}
  for n = 1, positions do places[n] = (a + n * b) % BITS end
  return places
end

local function estimate(bits)
  local part = math.min(bits, BITS - 1) / BITS
  return math.floor(-BITS / positions * math.log(1 - part) + 0.5)
end

-- Which of these are counted already, in their order.
local function counted(list, isExact)
  local found = {}
  if isExact then
    for from = 1, #list, AT_ONCE do
      local values = redis.call('HMGET', looksKey, unpack(list, from, math.min(from + AT_ONCE - 1, #list)))
      for n, value in ipairs(values) do found[from + n - 1] = value and true or false end
    end
    return found
  end
  for from = 1, #list, AT_ONCE do
    local to = math.min(from + AT_ONCE - 1, #list)
    local ask = {}
    for n = from, to do
      for _, place in ipairs(placesOf(list[n])) do
        ask[#ask + 1], ask[#ask + 2] = 'GET', 'u1'
        ask[#ask + 1] = place
      end
    end
    -- An argument list is bounded, and a multiple of what one takes.
    local values, step = {}, 3 * positions * math.floor(1200 / positions)
    for begin = 1, #ask, step do
      local some = redis.call('BITFIELD', bitsKey, unpack(ask, begin, math.min(begin + step - 1, #ask)))
      for _, value in ipairs(some) do values[#values + 1] = value end
    end
    for n = from, to do
      local all = true
      for k = 1, positions do if values[(n - from) * positions + k] == 0 then all = false end end
      found[n] = all
    end
  end
  return found
end

local function setBits(list)
  local set = 0
  for _, print in ipairs(list) do
    for _, place in ipairs(placesOf(print)) do set = set + 1 - redis.call('SETBIT', bitsKey, place, 1) end
  end
  return set
end

local bits = tonumber(redis.call('HGET', looksKey, 'b') or '')
local list = printsIn(prints)
local known = counted(list, not bits)
local new = {}
for n, print in ipairs(list) do if not known[n] then new[#new + 1] = print end end

local before = bits and estimate(bits) or redis.call('HLEN', looksKey)
if not bits and redis.call('HEXISTS', looksKey, 'x') == 1 then before = before - 1 end
local falsely = bits and (bits / BITS) ^ positions or 0
local friends = 0
if friendPrints ~= '' then
  local all = printsIn(friendPrints)
  for _, isCounted in ipairs(counted(all, not bits)) do if isCounted then friends = friends + 1 end end
  if falsely < 1 then friends = math.max(0, math.floor((friends - #all * falsely) / (1 - falsely) + 0.5)) end
end

local refused = tonumber(redis.call('HGET', looksKey, 'x') or '0')
local isTrying = falsely > 0 and refused * falsely > TOLERANCE * most
if #list > 0 and (isTrying or (#new > 0 and before - friends + #new > most)) then
  redis.call('HINCRBY', looksKey, 'x', math.max(#new, 1))
  redis.call('PEXPIRE', looksKey, left)
  return { 1, left, before - friends }
end
if #new == 0 then return { 0, left, before - friends } end

local count = before + #new
if not bits and count > EXACTLY then
  -- As long as it will be: Redis makes twice the room for what grows.
  redis.call('SET', bitsKey, string.rep('\0', BITS / 8), 'PX', left)
  bits = 0
  for _, field in ipairs(redis.call('HKEYS', looksKey)) do
    if #field == 8 then
      bits = bits + setBits({ field })
      redis.call('HDEL', looksKey, field)
    end
  end
end
if bits then
  bits = bits + setBits(new)
  count = estimate(bits)
  redis.call('HSET', looksKey, 'b', bits)
  redis.call('ZADD', lookingKey, count, userId)
  redis.call('PEXPIRE', lookingKey, left)
else
  for _, print in ipairs(new) do redis.call('HSET', looksKey, print, '') end
end
redis.call('PEXPIRE', looksKey, left)
return { 0, left, count - friends }
