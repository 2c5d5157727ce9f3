-- Begins every other script.
--
-- KEYS[1]  documents: hash, uid -> value
-- KEYS[2]  recency:   sorted set, uid -> tick of its latest use; the higher, the more recent
--
-- An entry is one that stands in both. All of it may be lost at any time, so whatever is not as it
-- should be is simply dropped.
local DOCUMENTS, RECENCY = KEYS[1], KEYS[2]

-- Ticks are doubles, and above 2^53 one more is no longer another number.
local LAST_TICK = 2 ^ 52

local function drop_unless_of_type(key, wanted)
  local found = redis.call('TYPE', key).ok
  if found ~= wanted and found ~= 'none' then
    redis.call('DEL', key)
  end
end

drop_unless_of_type(DOCUMENTS, 'hash')
drop_unless_of_type(RECENCY, 'zset')

local function drop(uid)
  redis.call('HDEL', DOCUMENTS, uid)
  redis.call('ZREM', RECENCY, uid)
end

-- The latest tick that was given out. It is read off the entries: a counter of its own could be lost
-- without them, and then new entries would count as old.
local function latest_tick()
  local highest = redis.call('ZRANGE', RECENCY, -1, -1, 'WITHSCORES')
  local tick = math.max(0, math.floor(tonumber(highest[2] or 0)))
  if tick > LAST_TICK then
    redis.call('DEL', DOCUMENTS, RECENCY)
    return 0
  end
  return tick
end
