-- ARGV  the position that the caller knows of, uids
-- Returns the value of each uid, or nil; each that is found becomes the most recently used. Half an
-- entry counts as missing; the next put removes it.
empty_unless_applied()
local tick = latest_tick()
local values = {}
for i = 2, #ARGV do
  local value = redis.call('HGET', DOCUMENTS, ARGV[i])
  tick = tick + 1
  -- XX CH: 1 if it exists, since its tick changes.
  if value and redis.call('ZADD', RECENCY, 'XX', 'CH', tick, ARGV[i]) == 1 then
    values[i - 1] = value
  else
    values[i - 1] = false
  end
end
return values
