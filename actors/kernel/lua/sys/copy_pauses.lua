-- copy_pauses: the pauses of the installation become those of one partition, where `take` reads them.
--
-- KEYS 1   rw:{pNN}:paused, hash: stage → JSON object, as under rw:{sys}:
-- ARGV 1+  two a stage: its name and the object; none when nothing is paused
-- Reply    1
-- Repeat   harmless.

redis.call('DEL', KEYS[1])
if #ARGV > 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return 1
