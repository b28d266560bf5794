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

local function step(job, item)
  job.stage, job.lane, job.rescue = item.stage, item.lane, item.rescue
  if item.rescue ~= '' then job.extra = '1' end
  job.attempt, job.crashes, job.pinned, job.reason = 0, 0, '', ''
  -- A stage that ends before its last beat has still come as far as it says.
  local before = job.percent
  job.percent = math.max(before, tonumber(item.percent) or 0)
  credit(job, job.percent - before)
end

local function next_stage(job, item)
  local done = job.stage
  end_lease(job, 'commit')
  step(job, item)
  event(job, 'job.stage', '{"done":"' .. done .. '","next":"' .. job.stage .. '"}')
  enqueue(job)
  write(job, 'input', item.body, 'refs', item.refs)
end

local function wait_for_children(job, item)
  local key = kids_of(job.id)
  end_lease(job, 'commit')
  leave_slot(job)
  step(job, item)
  job.state, job.inbox, job.reason = 'waiting', '', AWAITED
  redis.call('HSET', key, 'base', tostring(job.percent), 'reach', item.reach)
  redis.call('HDEL', key, 'revive')
  event(job, 'job.waiting', '{"children":' .. job.children .. '}')
  write(job, 'input', item.body, 'refs', item.refs)
  raise(job, 0)
end

local function has_open_children(job)
  return job.children > 0 and tonumber(redis.call('HGET', kids_of(job.id), 'open') or 0) > 0
end

local function commit(item)
  local job = read(item.id)
  local status = standing(job, 'commit', item.fence)
  if status == 'CANCELLED' and not TERMINAL[job.state] then
    finish_unwanted(job)
  elseif status == 'OK' or status == 'LATE' then
    if item.kind == 'done' then
      -- What it worked from is not needed any more: a completed job begins never again.
      finish(job, 'commit', 'completed', 'job.completed', item.data, '', 'result', item.body, 'refs', '[]', 'percent', 100,
        'input', '', 'first_input', '')
    elseif item.kind == 'split' and has_open_children(job) then
      wait_for_children(job, item)
    else
      next_stage(job, item)
    end
  end
  return status
end

for index = FIRST, #ARGV, 11 do
  local item = { id = ARGV[index], fence = ARGV[index + 1], kind = ARGV[index + 2], stage = ARGV[index + 3],
    lane = ARGV[index + 4], rescue = ARGV[index + 5], percent = ARGV[index + 6], reach = ARGV[index + 7],
    body = ARGV[index + 8], refs = ARGV[index + 9], data = ARGV[index + 10] }
  statuses[#statuses + 1] = apart(item.id, commit, item)
end
settle()
flush()
return statuses
