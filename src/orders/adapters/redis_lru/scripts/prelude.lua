-- Prepended to every other script.
--
-- KEYS[1]  documents: hash, uid -> value
-- KEYS[2]  recency:   sorted set, uid -> tick of its latest use; the higher, the more recent
--
-- An entry exists if it is in both. A cache may lose entries at any time, so whatever is corrupt is
-- simply dropped.
local DOCUMENTS, RECENCY = KEYS[1], KEYS[2]

-- Ticks are doubles: above 2^53, adding 1 no longer gives another number.
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

-- The latest tick. It is that of an entry: if a separate counter were lost, new entries would count
-- as old.
local function latest_tick()
  local highest = redis.call('ZRANGE', RECENCY, -1, -1, 'WITHSCORES')
  local tick = math.max(0, math.floor(tonumber(highest[2] or 0)))
  if tick > LAST_TICK then
    redis.call('DEL', DOCUMENTS, RECENCY)
    return 0
  end
  return tick
end
