-- Part `requeue`: a job gets a new hint.

-- Puts the job into `inbox` (a name without the partition's prefix) and makes it queued; its old hint must have ended.
local function requeue(job, inbox)
  job.inbox = inbox
  job.state = 'queued'
  job.entry = redis.call('XADD', ROOT .. inbox, '*', 'job', job.id)
  -- A stream that was lost begins anew and may give the id of the hint whose end is gathered: that end is meant no more.
  if hints[inbox] then hints[inbox][job.entry] = nil end
end

local function inbox_named(job, name) return 'in:' .. job.stage .. ':' .. job.lane .. ':' .. name end

-- The inbox that stands beside the priorities for this job: of the quarantine worker it was replayed to, or `alone` when
-- it has cost two workers; nil for most jobs.
local function inbox_apart(job)
  if job.pinned ~= '' then return inbox_named(job, job.pinned) end
  if job.crashes >= SUSPECT then return inbox_named(job, 'alone') end
  return nil
end

-- Work that came back from a lost or stopping worker is read before all other work.
local function inbox_again(job) return inbox_apart(job) or inbox_named(job, 'again') end
