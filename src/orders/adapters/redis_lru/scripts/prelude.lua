-- Prepended to every other script.
--
-- KEYS[1]  documents: hash, uid -> value
-- KEYS[2]  recency:   sorted set, uid -> tick of its latest use; the higher, the more recent
-- KEYS[3]  forgotten: sorted set, ':' and uid -> position of its tombstone, for the latest ones;
--                     and besides them:
--                     '=applied' -> up to this position all tombstones have been applied here
--                     '=floor'   -> tombstones up to this position may be missing in this set
-- ARGV[1]  a position; what it means stands in each script
--
-- An entry exists if it is in both. A cache may lose entries at any time, so whatever is corrupt is
-- simply dropped.
local DOCUMENTS, RECENCY, FORGOTTEN = KEYS[1], KEYS[2], KEYS[3]
local APPLIED, FLOOR = '=applied', '=floor'
local POSITION = tonumber(ARGV[1])

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
drop_unless_of_type(FORGOTTEN, 'zset')

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

local function position_of(member)
  return tonumber(redis.call('ZSCORE', FORGOTTEN, member) or 0)
end

-- Empties the cache unless all tombstones up to POSITION have been applied: this server was down,
-- or has lost its latest writes in a failover, so it may have entries of forgotten orders.
local function empty_unless_applied()
  if position_of(APPLIED) < POSITION then
    redis.call('DEL', DOCUMENTS, RECENCY, FORGOTTEN)
    redis.call('ZADD', FORGOTTEN, POSITION, APPLIED, POSITION, FLOOR)
  end
end
