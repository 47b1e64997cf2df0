-- needs: time
-- Who may see a user.
--
-- `user:privacy:<id>` is a hash, so that it is lost whole or not at all:
--   r           revision of PostgreSQL of which this is true
--   v, l        visibility and lastSeenVisibility: e (everyone), f (friends) or n (nobody); l as a capital where it is told coarsely
--   f:<friend>  friends, kept where one of the two is f   s  1: as they were when one of the two last was f
--   b:<other>   whom the user blocks, and who blocks the user
--   o           1 where everything is open to everybody again, which is remembered for a while
--   d           what changed within the last half minute (JSON): `at` the last (ms), `v` the loosest visibility until then, and
--               whose relation to the user did (`ids`)
--   q           1 where nobody was told of this revision, for it was found and not heard from who made it
--   x           after an erasure: until when it hides what is still on its way (ms)
-- The user's record has in `r` the revision that it relies on (the mark); '0' where everything is open to everybody. Where the
-- mark is another, or the hash is missing, nobody knows who may see the user, and PostgreSQL has to be asked: so a lost key
-- hides, and never shows. `users:restricted` has everybody who ever restricted anything, for users without a record, and the
-- member '' as long as that is all of them. The rule itself: presence/visibility.ts.

local ALL, COARSE, STATUS, NOTHING, UNKNOWN = 2, 4, 1, 0, 3
local UNMARKED, NO_RECORD = '?', ''
-- What is open again is remembered for a while, so that an older revision that comes late is refused.
local OPEN_REMEMBERED_MS = 3600000
local ERASED_MS = 30000

local function privacyKey(id) return stem .. 'user:privacy:' .. tag .. id end
local restrictedKey = stem .. 'users:restricted' .. (tag == '' and '' or ':' .. string.sub(tag, 1, -2))

-- Some fields of the hash; none where something of an older form stands in the key.
local function privacyFields(id, ...)
  local values = redis.pcall('HMGET', privacyKey(id), ...)
  return values.err and {} or values
end

-- revision, visibility, lastSeenVisibility of what stands in the key; revision 0 where nothing does.
local function readPrivacy(id)
  local revision, visibility, lastSeen, closedUntil = unpack(privacyFields(id, 'r', 'v', 'l', 'x'), 1, 4)
  if not revision then return 0, 'e', 'e' end
  if closedUntil and tonumber(closedUntil) <= now then visibility, lastSeen = 'e', 'e' end
  return tonumber(revision), visibility, lastSeen
end

-- Whether it is certain that everybody may see all of a user with this mark.
local function isOpen(id, mark)
  if mark ~= NO_RECORD then return mark == '0' end
  local known = redis.call('SMISMEMBER', restrictedKey, '', id)
  return known[1] == 1 and known[2] == 0 and redis.call('EXISTS', privacyKey(id)) == 0
end

-- The letters of what a user with this mark allows, and for each viewer 1 (friend) + 2 (blocked); nothing where it is not
-- known. Of somebody who is open again it still says who were friends.
local function relationsOf(id, mark, viewers)
  local revision, visibility, lastSeen = readPrivacy(id)
  local open = isOpen(id, mark)
  if not open and (revision == 0 or (mark ~= NO_RECORD and mark ~= whole(revision))) then return nil end
  local names, bits = {}, {}
  for n, viewer in ipairs(viewers) do
    names[2 * n - 1] = 'f:' .. viewer
    names[2 * n] = 'b:' .. viewer
  end
  for from = 1, #names, 2000 do
    local to = math.min(from + 1999, #names)
    local values = privacyFields(id, unpack(names, from, to))
    for n = 1, to - from + 1, 2 do bits[#bits + 1] = (values[n] and 1 or 0) + (values[n + 1] and 2 or 0) end
  end
  if open then return 'e', 'e', bits end
  return visibility, lastSeen, bits
end

-- What a viewer ('' sees everything) may see of a user with this mark.
local function accessOf(viewer, id, mark)
  if viewer == '' or viewer == id or mark == '0' then return ALL end
  local visibility, lastSeen, bits = relationsOf(id, mark, { viewer })
  if not visibility then return UNKNOWN end
  local bit = bits[1]
  if bit >= 2 then return NOTHING end
  local function allows(letter) return letter == 'e' or (letter == 'f' and bit == 1) end
  if not allows(visibility) then return NOTHING end
  if not allows(string.lower(lastSeen)) then return STATUS end
  return string.lower(lastSeen) == lastSeen and ALL or COARSE
end

-- The mark of a record that is made with what PostgreSQL remembers: its revision, 0 where everything is open. Something
-- newer may have been told meanwhile.
local function markFor(id, revision)
  local standing, closedUntil, open = unpack(privacyFields(id, 'r', 'x', 'o'), 1, 3)
  -- Somebody who was erased begins anew.
  if closedUntil and revision == 0 then return '0' end
  local isOlder = standing and tonumber(standing) >= revision
  if isOlder and open then return '0' end
  -- What was kept for a while, for nobody had come, is relied on from now on.
  if isOlder and not closedUntil then redis.call('PERSIST', privacyKey(id)) end
  return isOlder and standing or whole(revision)
end

-- After an erasure nobody may see what is still on its way, and whatever was decided before it is refused. Who was blocked
-- stays for that long: it decides who is told. Returns what was allowed until now.
local function closeToAll(id, mark)
  local revision, visibility, lastSeen = readPrivacy(id)
  local known = mark == '0' or (revision > 0 and (mark == NO_RECORD or mark == whole(revision)))
  if privacyFields(id, 'r')[1] == nil then redis.call('DEL', privacyKey(id)) end
  redis.call('HSET', privacyKey(id), 'r', whole(math.max(now, revision)), 'v', 'n', 'l', 'n', 'x', whole(now + ERASED_MS))
  redis.call('PEXPIRE', privacyKey(id), ERASED_MS)
  redis.call('HDEL', privacyKey(id), 'o')
  redis.call('SREM', restrictedKey, id)
  if not known or mark == '0' then return 'e', 'e' end
  return visibility, lastSeen
end
