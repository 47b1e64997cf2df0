-- needs: privacy
-- What others are told of one user by the user's own choices: detail, appearing inactive and back, and who may see them.
-- Thirty in ten seconds are told as they come; what is more is gathered, and the newest told once a
-- second. Comings and goings are never held back, neither is appearing inactive, and what takes sight from somebody has some more.
--
-- In the user's record:
--   m   how many were told since when, and when the last: count|since|last (ms)
--   o   when what is gathered has to be told (ms), with |s where the user is to be shown again
--   n   who could see the user when the first gathered change of privacy was made (JSON)
local TOLD_AT_ONCE, KEPT_FOR_LOSSES, TOLD_WINDOW, GATHERED_FOR = 30, 10, 10000, 1000
local OF_CHOICE = { detail = true, manual = true, privacy = true }

local function readBudget(u)
  u.spent = u.known.m
  u.gathered = u.known.n
  u.showing = u.known.o and string.sub(u.known.o, -2) == '|s'
  u.owed = u.known.o and tonumber(string.match(u.known.o, '^%d+'))
end

local function budgetOf(u)
  local count, since, last = string.match(u.spent or '', '^(%d+)|(%d+)|(%d+)$')
  count, since, last = tonumber(count or 0), tonumber(since or 0), tonumber(last or 0)
  if now - since >= TOLD_WINDOW then return 0, now, last end
  return count, since, last
end

-- Whether a choice may be told now. Where not, it is owed.
local function mayTell(u, isLoss)
  local count, _, last = budgetOf(u)
  if count < TOLD_AT_ONCE + (isLoss and KEPT_FOR_LOSSES or 0) or now - last >= GATHERED_FOR then
    u.owed = nil
    return true
  end
  u.owed = last + GATHERED_FOR
  return false
end

local function spend(u, cause)
  if not OF_CHOICE[cause] then return end
  local count, since = budgetOf(u)
  u.spent = whole(count + 1) .. '|' .. whole(since) .. '|' .. whole(now)
end

-- What of it the record has to keep.
local function budgetKept(u)
  local count = budgetOf(u)
  return count > 0 and u.spent or nil
end

-- A change of privacy that is none.
local function nothingChanged(u)
  local _, visibility, lastSeen = readPrivacy(u.id)
  return { v = visibility, l = lastSeen, fa = {}, fr = {}, ba = {}, br = {}, s = true }
end

-- What only these need is theirs: a script has two hundred names at most.
local takesAccess, mergeBefore, overtakenBy
do
  local STRICTNESS = { e = 0, f = 1, n = 2 }
  local function loosest(a, b) return STRICTNESS[a] < STRICTNESS[b] and a or b end

  -- The same of the last seen, whose letter is a capital where it is told coarsely.
  local function loosestSeen(a, b)
    local widest = loosest(string.lower(a), string.lower(b))
    local coarse = string.upper(a) == a and string.upper(b) == b
    return coarse and string.upper(widest) or widest
  end

  -- Whether somebody may lose sight of something.
  function takesAccess(before, visibility, lastSeen)
    return before.u or STRICTNESS[visibility] > STRICTNESS[before.v] or loosestSeen(before.l, lastSeen) ~= lastSeen
      or #before.ba > 0 or #before.fr > 0
  end

  -- Lists that are merged are short, or not kept.
  local MERGED_AT_MOST = 500
  -- Two changes of privacy as one. What was told of the user in between was for those who could see them then: so whoever could at
  -- any of these times is told what is true, though they see as much as at first (t), and whose relation changed as well (q).
  function mergeBefore(first, second)
    if first.u or second.u then return { u = true } end
    local merged = { v = loosest(first.v, second.v), l = loosestSeen(first.l, second.l), s = first.s and second.s, t = true, q = {} }
    local told = {}
    local function add(to, list) for _, id in ipairs(list or {}) do to[id] = true end end
    local function merge(name)
      local came, went = name .. 'a', name .. 'r'
      local added, removed = {}, {}
      add(added, first[came])
      add(removed, first[went])
      for _, id in ipairs(second[came]) do if removed[id] then removed[id] = nil else added[id] = true end end
      for _, id in ipairs(second[went]) do if added[id] then added[id] = nil else removed[id] = true end end
      merged[came], merged[went] = {}, {}
      for id in pairs(added) do table.insert(merged[came], id) end
      for id in pairs(removed) do table.insert(merged[went], id) end
    end
    for _, before in ipairs({ first, second }) do
      add(told, before.q)
      if merged.v ~= 'n' then for _, name in ipairs({ 'fa', 'fr', 'ba', 'br' }) do add(told, before[name]) end end
    end
    merge('f')
    merge('b')
    for id in pairs(told) do merged.q[#merged.q + 1] = id end
    local total = #merged.fa + #merged.fr + #merged.ba + #merged.br + #merged.q
    return total > MERGED_AT_MOST and { u = true } or merged
  end

  local RECENT_MS, RECENT_AT_MOST = 30000, 100
  -- Whether somebody loses sight is found out when a change is told, by the lists of that moment. Where the next change of the lists
  -- has been made by then, that may go wrong for whomever it concerns. So they are told what is true by that next one, if they
  -- could see the user shortly before. Returns who they are, and what has to stand in `d` from now on.
  function overtakenBy(id, visibility, change)
    local noted = privacyFields(id, 'd')[1]
    local recent = noted and cjson.decode(noted)
    if recent and now - recent.at > RECENT_MS then recent = nil end
    local widest = recent and loosest(recent.v, visibility) or visibility
    local isRecent, ids, told = {}, {}, {}
    for _, other in ipairs(recent and recent.ids or {}) do isRecent[other] = true end
    for _, list in ipairs({ change.fa, change.fr, change.ba, change.br }) do
      for _, other in ipairs(list) do
        local could = widest == 'e' or (widest == 'f' and (isRecent[other] or privacyFields(id, 'f:' .. other)[1]))
        if recent and could then told[#told + 1] = other end
        isRecent[other] = true
      end
    end
    for other in pairs(isRecent) do ids[#ids + 1] = other end
    if #ids > RECENT_AT_MOST then ids, widest = {}, 'e' end
    return told, cjson.encode({ at = now, v = widest, ids = ids })
  end
end
