-- Part `resume`: a worker that was given up shows that it lives.

-- A word under a fence that was reaped gives back the crash that the job was charged, once, and, while nobody has taken
-- the job again, the lease.
local function resume(job, fence)
  if job.ended ~= 'reap ' .. fence or TERMINAL[job.state] then return end
  job.crashes, job.ended = math.max(0, job.crashes - 1), 'returned ' .. fence
  if job.fence ~= fence then
    redis.call('HSET', job.key, 'crashes', job.crashes, 'ended', job.ended)
    return
  end
  leave(job)
  job.state, job.reason = 'running', ''
  event(job, 'job.resumed', '{"stage":"' .. job.stage .. '"}')
  write(job)
end
