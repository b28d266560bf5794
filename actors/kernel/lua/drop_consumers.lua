-- drop_consumers: consumers of one inbox that hold nothing are deleted; the caller names those that have been idle for long.
--
-- KEYS 9   inbox
-- ARGV 7+  names, at most 100
-- Reply    the names that were deleted
-- Repeat   harmless: a consumer that lives is made again when it next takes.
--
-- Deleting a consumer deletes what is pending for it, so that is read in the same script. Every process takes under
-- a name of its own; without this the group would keep the names of all that ever lived. They are listed by the caller,
-- because the list of ten thousand consumers takes Redis one millisecond, and a script five more to get it.

local dropped = {}
shrink_first()

for index = FIRST, #ARGV do
  local pending = redis.pcall('XPENDING', KEYS[9], GROUP, '-', '+', 1, ARGV[index])
  if not pending.err and #pending == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[9], GROUP, ARGV[index])
    dropped[#dropped + 1] = ARGV[index]
  end
end
return dropped
