-- ARGV  uids
-- Returns the value of each, or nil; each that is found becomes the most recently used. Half an entry
-- counts as missing; the next put removes it.
local tick = latest_tick()
local values = {}
for i, uid in ipairs(ARGV) do
  local value = redis.call('HGET', DOCUMENTS, uid)
  tick = tick + 1
  -- XX CH: 1 if it exists, since its tick changes.
  if value and redis.call('ZADD', RECENCY, 'XX', 'CH', tick, uid) == 1 then
    values[i] = value
  else
    values[i] = false
  end
end
return values
