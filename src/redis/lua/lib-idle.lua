-- How it is written down that a user is idle: behind what they say of themselves, so that the two are one detail for others.

-- It alone is told as it comes at most once in so long (ms), which costs a user's budget nothing.
local IDLE_APART = 2000

-- A detail (JSON, '' for nothing) of somebody who has been idle since then (ms, nil: is not).
local function withIdle(detail, since)
  if not since then return detail end
  local idle = '"idle":true,"idleSince":"' .. iso(since) .. '"}'
  return detail == '' and '{' .. idle or string.sub(detail, 1, -2) .. ',' .. idle
end

-- The same without it. Within a text a quote has a backslash before it.
local function withoutIdle(detail)
  local at = string.find(detail, ',?"idle":true,"idleSince":"[^"]*"}$')
  if not at then return detail end
  return at == 2 and '' or string.sub(detail, 1, at - 1) .. '}'
end
