-- replay: a job that failed, was cancelled or expired begins again, with full budgets and a new deadline.
--
-- KEYS 9  job:<id>
-- ARGV 7  id   8 life (ms until the new deadline)   9 from: here (the stage it ended in) | first
--      10 name of a quarantine worker that alone may take it in this stage, or ''
-- Reply   {OK, state, left}         left: children that begin again with their parent and are still to come: call again
--         {ILLEGAL, state, 0}       the state does not allow it
--         {PARENT, parent state, 0} a child begins again only while its parent waits
--         {GONE, '', 0}
--         an OOM error: Redis is full, nothing was written, since the first write may grow
-- Repeat  answers OK until the job ends again.
--
-- A parent that ended while it waited for children waits again, and those of them that had no success begin again; so does
-- a child that has children itself.

local job = read(ARGV[7])
if not job or redis.call('HEXISTS', job.key, 'deleted') == 1 then return { 'GONE', '', 0 } end
local pinned = ARGV[10] ~= '' and '@' .. ARGV[10] or ''

if not TERMINAL[job.state] then
  if not string.match(job.ended, '^replay ') then return { 'ILLEGAL', job.state, 0 } end
  local left = job.state == 'waiting' and revive_children(job) or 0
  flush()
  return { 'OK', job.state, left }
end
if job.state == 'completed' then return { 'ILLEGAL', job.state, 0 } end

-- A growing write that changes nothing, so that a full Redis refuses before anything has begun.
redis.call('HSET', job.key, 'v', 1)
local left = 0
if job.parent ~= '' then
  local parent = read(job.parent)
  if not parent or parent.state ~= 'waiting' then return { 'PARENT', parent and parent.state or 'gone', 0 } end
  reopen_row(job, parent, pinned)
elseif waited(job) and ARGV[9] == 'here' then
  wait_again(job, NOW + tonumber(ARGV[8]))
  left = revive_children(job)
else
  begin_again(job, NOW + tonumber(ARGV[8]), ARGV[9] == 'first', pinned)
  enqueue(job)
  write(job)
end
flush()
return { 'OK', redis.call('HGET', job.key, 'state'), left }
