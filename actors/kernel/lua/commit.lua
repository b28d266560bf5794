-- commit: a worker ends its lease with a result.
--
-- KEYS 9+  job:<id>, one an item
-- ARGV 5+  nine an item: id, fence, kind (next | done), stage and lane of the next stage, percent reached ('' when the stage
--          reported none), body (next: its input; done: the result), refs (JSON array), data (done: JSON object, the data
--          of job.completed)
-- Reply    one status an item: OK | LATE | ALREADY | CANCELLED | FENCED | GONE, see part `end_lease`
-- Repeat   answers ALREADY.
--
-- The fence is compared, the lease ended, the next hint written and the event appended here and nowhere else, so there
-- is no window between a result and what follows from it.

local statuses = {}
shrink_first()

local function next_stage(job, stage, lane, percent, input, refs)
  local done = job.stage
  end_lease(job, 'commit')
  job.stage, job.lane, job.attempt, job.crashes = stage, lane, 0, 0
  requeue(job, inbox_of(job))
  event(job, 'job.stage', '{"done":"' .. done .. '","next":"' .. stage .. '"}')
  write(job, 'state', 'queued', 'stage', stage, 'lane', lane, 'inbox', job.inbox, 'entry', job.entry, 'ended', job.ended,
    'attempt', 0, 'crashes', 0, 'reason', '', 'input', input, 'refs', refs,
    -- A stage that ends before its last beat has still come as far as it says.
    'percent', tostring(math.max(job.percent, tonumber(percent) or 0)))
end

local function commit(id, fence, kind, stage, lane, percent, body, refs, data)
  local job = read(id)
  local status = standing(job, 'commit', fence)
  if status == 'CANCELLED' and job.state == 'running' then
    finish_cancelled(job)
  elseif status == 'OK' or status == 'LATE' then
    if kind == 'next' then
      next_stage(job, stage, lane, percent, body, refs)
    else
      finish(job, 'commit', 'completed', 'job.completed', data, 'result', body, 'refs', '[]', 'percent', 100)
    end
  end
  return status
end

for index = FIRST, #ARGV, 9 do
  statuses[#statuses + 1] = commit(unpack(ARGV, index, index + 8))
end
flush()
return statuses
