-- The clock, names of keys and numbers, for scripts whose arguments begin with
-- ARGV  1 stem: what stands before `user:…` in a key
--       2 tag: the hash tag of the shard with a trailing colon, or nothing
--       3 ttlText: PRESENCE_TTL in ms
--       4 sentAt: when the caller sent this, as far as it knows Redis's clock (ms); 0: unknown
local stem, tag, ttlText, sentAt = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local ttl = tonumber(ttlText)
-- No connection lives for longer without a sign of life.
local longestTtl = math.max(ttl, 600000)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A command that waited in a socket buffer while Redis stood still happened earlier than now. Below a second
-- the difference is noise of the estimate.
local lateness = (sentAt > 0 and now - sentAt > 1000) and now - sentAt or 0

local function whole(n)
  return string.format('%.0f', n)
end

local function statusKey(id) return stem .. 'user:status:' .. tag .. id end
local function lastSeenKey(id) return stem .. 'user:last_seen:' .. tag .. id end
local function recordKey(id) return stem .. 'user:sessions:' .. tag .. id end

-- ISO-8601 of a moment in ms; civil date by Howard Hinnant's `civil_from_days`. Moments of one call are mostly of one second.
local secondCached, textCached
local function iso(ms)
  local second = math.floor(ms / 1000)
  if second ~= secondCached then
    local day = math.floor(second / 86400)
    local z = day + 719468
    local era = math.floor(z / 146097)
    local doe = z - era * 146097
    local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
    local mp = math.floor((5 * doy + 2) / 153)
    local d = doy - math.floor((153 * mp + 2) / 5) + 1
    local m = mp < 10 and mp + 3 or mp - 9
    local y = yoe + era * 400 + (m <= 2 and 1 or 0)
    local rest = second - day * 86400
    secondCached = second
    textCached = string.format('%04d-%02d-%02dT%02d:%02d:%02d.', y, m, d, math.floor(rest / 3600),
      math.floor(rest / 60) % 60, rest % 60)
  end
  return string.format('%s%03dZ', textCached, ms - second * 1000)
end
