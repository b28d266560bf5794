-- pause: notes who paused a stage, when and why.
--
-- KEYS 1  rw:{sys}:paused, hash: stage → JSON object {by, at, reason}; `at` in server ms
-- ARGV 1  stage   2 by (JSON string)   3 reason (JSON string)
-- Reply   what is noted
-- Repeat  notes it anew.
--
-- It begins with a shrinking write, so that work can be paused on a full Redis.

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local note = string.format('{"by":%s,"at":%.0f,"reason":%s}', ARGV[2], NOW, ARGV[3])

redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], note)
return note
