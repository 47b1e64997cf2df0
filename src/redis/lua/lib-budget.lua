-- What others are told of one user by the user's own choices: detail, appearing inactive and back, and who may see them. Stands
-- behind lib-privacy.lua. Thirty in ten seconds are told as they come; what is more is gathered, and the newest told once a
-- second. Comings and goings are never held back, neither is appearing inactive, and what takes sight from somebody has some more.
--
-- In the user's record:
--   m   how many were told since when, and when the last: count|since|last (ms)
--   o   when what is gathered has to be told (ms), with |s where the user is to be shown again
--   n   who could see the user when the first gathered change of privacy was made (JSON)
local TOLD_AT_ONCE, KEPT_FOR_LOSSES, TOLD_WINDOW, GATHERED_FOR = 30, 10, 10000, 1000
-- Lists that are merged are short, or not kept.
local MERGED_AT_MOST = 500
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

-- Whether somebody may lose sight of something.
local STRICTNESS = { e = 0, f = 1, n = 2 }
local function takesSight(before, visibility, lastSeen)
  return before.u or STRICTNESS[visibility] > STRICTNESS[before.v] or STRICTNESS[lastSeen] > STRICTNESS[before.l]
    or #before.ba > 0 or #before.fr > 0
end

-- Two changes of privacy as one: who could see the user before the first, and who came to the lists and went since. Where the
-- second takes sight from somebody, they may have been told of something in between: everybody is told what is true.
local function mergeBefore(first, second, takes)
  if first.u or second.u or takes then return { u = true } end
  local total = 0
  local function merge(added, removed, nextAdded, nextRemoved)
    local came, went = {}, {}
    for _, id in ipairs(added) do came[id] = true end
    for _, id in ipairs(removed) do went[id] = true end
    for _, id in ipairs(nextAdded) do if went[id] then went[id] = nil else came[id] = true end end
    for _, id in ipairs(nextRemoved) do if came[id] then came[id] = nil else went[id] = true end end
    local a, r = {}, {}
    for id in pairs(came) do a[#a + 1] = id end
    for id in pairs(went) do r[#r + 1] = id end
    total = total + #a + #r
    return a, r
  end
  local merged = { v = first.v, l = first.l, s = first.s and second.s }
  merged.fa, merged.fr = merge(first.fa, first.fr, second.fa, second.fr)
  merged.ba, merged.br = merge(first.ba, first.br, second.ba, second.br)
  return total > MERGED_AT_MOST and { u = true } or merged
end

-- A change of privacy that is none.
local function nothingChanged(u)
  local _, visibility, lastSeen = readPrivacy(u.id)
  return { v = visibility, l = lastSeen, fa = {}, fr = {}, ba = {}, br = {}, s = true }
end
