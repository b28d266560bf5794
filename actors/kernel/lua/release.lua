-- release: a stopping worker gives work back. No budget is spent; the job is read before other work.
--
-- KEYS 9+  job:<id>, one an item
-- ARGV 7+  three an item: id, fence, reason (JSON object)
-- Reply    one status an item: OK | ALREADY | CANCELLED | FENCED | GONE, see part `end_lease`
-- Repeat   answers ALREADY, and so does a release after a reap: the job is back in its inbox either way.

local statuses = {}
shrink_first()

local function release(id, fence, reason)
  local job = read(id)
  local status = standing(job, 'release', fence)
  if status == 'LATE' then return 'ALREADY' end
  if status == 'CANCELLED' and not TERMINAL[job.state] then
    finish_unwanted(job)
  elseif status == 'OK' then
    end_lease(job, 'release')
    requeue(job, inbox_again(job))
    event(job, 'job.retrying', '{"reason":' .. reason .. '}')
    job.reason = reason
    write(job)
  end
  return status
end

for index = FIRST, #ARGV, 3 do
  statuses[#statuses + 1] = apart(ARGV[index], release, ARGV[index], ARGV[index + 1], ARGV[index + 2])
end
settle()
flush()
return statuses
