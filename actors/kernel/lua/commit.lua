-- commit: a worker ends its lease with a result.
--
-- KEYS 9+  job:<id>, one an item
-- ARGV 7+  eleven an item: id, fence, kind (next | split | done), stage, lane and rescue of the next stage, percent reached
--          ('' when the stage reported none), reach (split: percent of the job when its children have ended), body (next,
--          split: input of the next stage; done: the result), refs (JSON array), data (done: JSON object, the data of
--          job.completed)
-- Reply    one status an item: OK | LATE | ALREADY | CANCELLED | FENCED | GONE, see part `end_lease`
-- Repeat   answers ALREADY.
--
-- The fence is compared, the lease ended, the next hint written and the event appended here and nowhere else, so there
-- is no window between a result and what follows from it. `split` waits for the children that `spawn` made and goes on
-- at once if none is open.

local statuses = {}
shrink_first()

local function step(job, stage, lane, rescue, percent)
  job.stage, job.lane = stage, lane
  if rescue ~= '' then job.extra = '1' end
  if job.extra ~= '' then job.rescue = rescue end
  if job.extra ~= '' then job.attempt, job.crashes, job.pinned = 0, 0, '' end
  job.reason = ''
  -- A stage that ends before its last beat has still come as far as it says.
  if percent == '' then return end
  local before = job.percent
  job.percent = math.max(before, tonumber(percent) or 0)
  credit(job, job.percent - before)
end

local function next_stage(job, stage, lane, rescue, percent, body, refs)
  local done = job.stage
  end_lease(job, 'commit')
  step(job, stage, lane, rescue, percent)
  event(job, 'job.stage', '{"done":"' .. done .. '","next":"' .. stage .. '"}')
  enqueue(job)
  write(job, 'input', body, 'refs', refs)
end

local function wait_for_children(job, stage, lane, rescue, percent, reach, body, refs)
  local key = kids_of(job.id)
  end_lease(job, 'commit')
  leave_slot(job)
  step(job, stage, lane, rescue, percent)
  job.state, job.inbox, job.reason = 'waiting', '', AWAITED
  redis.call('HSET', key, 'base', tostring(job.percent), 'reach', reach)
  redis.call('HDEL', key, 'revive')
  event(job, 'job.waiting', '{"children":' .. job.children .. '}')
  write(job, 'input', body, 'refs', refs)
  raise(job, 0)
end

local function has_open_children(job)
  return job.children > 0 and tonumber(redis.call('HGET', kids_of(job.id), 'open') or 0) > 0
end

local function commit(id, fence, kind, stage, lane, rescue, percent, reach, body, refs, data)
  local job = read(id)
  local status = standing(job, 'commit', fence)
  if status == 'CANCELLED' and not TERMINAL[job.state] then
    finish_unwanted(job)
  elseif status == 'OK' or status == 'LATE' then
    if kind == 'done' then
      -- What it worked from is not needed any more: a completed job begins never again.
      finish(job, 'commit', 'completed', 'job.completed', data, '', 'result', body, 'refs', '[]', 'percent', 100,
        'input', '', 'first_input', '')
    elseif kind == 'split' and has_open_children(job) then
      wait_for_children(job, stage, lane, rescue, percent, reach, body, refs)
    else
      next_stage(job, stage, lane, rescue, percent, body, refs)
    end
  end
  return status
end

for index = FIRST, #ARGV, 11 do
  statuses[#statuses + 1] = apart(ARGV[index], commit, unpack(ARGV, index, index + 10))
end
settle()
flush()
return statuses
