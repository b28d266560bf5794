-- Part `end_lease`: how the end that a worker asks for stands, and the end of a lease.

-- The standing of `verb` under `fence`:
--   OK         the fence holds the job
--   CANCELLED  the cancel flag wins, or has already won over this fence
--   LATE       reaped, the fence still stands and nobody has taken the job again
--   ALREADY    this very end is recorded: the reply was lost and the call is a repeat
--   FENCED     a newer fence, or a terminal state
--   GONE       no such job
local function standing(job, verb, fence)
  if not job then return 'GONE' end
  if job.ended == verb .. ' ' .. fence then return 'ALREADY' end
  if job.fence ~= fence then return 'FENCED' end
  if job.state == 'running' then
    if job.cancel ~= '' then return 'CANCELLED' end
    return 'OK'
  end
  if job.ended == 'reap ' .. fence and WAITS[job.state] then return 'LATE' end
  if job.state == 'cancelled' then return 'CANCELLED' end
  return 'FENCED'
end

-- Takes the job out of its inbox, the ledger of leases and the delayed ones, and records which end did it.
local function end_lease(job, verb)
  drop_hint(job.inbox, job.entry)
  job.entry = ''
  job.ended = verb .. ' ' .. job.fence
  row('leases', job.id, false)
  if job.state == 'delayed' then row('due', job.id, false) end
end
