-- reap: ends leases that have run out. The work goes to `again`, or the job fails when its crash budget is spent.
--
-- ARGV 7  lease (ms)   8 server time of the reaper's last answer (ms)   9 crash budget   10 error (JSON object) of a spent
--      budget   11 reason (JSON object) of a repeated stage
-- Reply   {OK, now (ms), id, outcome, …} with outcome requeued | failed | cancelled | expired | error, or {STALE, now}
-- Repeat  harmless: it acts on rows that have run out and on nothing else. Any number of reapers may run.
--
-- STALE: more than half a lease has passed since this reaper last heard of the server, so the server (or the reaper) may
-- have been stopped and the workers had no chance to beat. Nothing is ended on such evidence.

local lease, heard, budget, failure, reason = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10], ARGV[11]
if NOW - heard > lease / 2 or NOW < heard then return { 'STALE', string.format('%.0f', NOW) } end

shrink_first()
-- The clock stepped back: leases that would outlast a whole lease from now are cut to it, so that a dead worker's end.
local beyond = redis.call('ZRANGEBYSCORE', ROWS.leases, '(' .. (NOW + lease), '+inf', 'LIMIT', 0, BOUND)
for _, id in ipairs(beyond) do row('leases', id, NOW + lease) end
flush()

local outcomes = { 'OK', string.format('%.0f', NOW) }

local function reap(id)
  local job = read(id)
  if not job or job.state ~= 'running' then
    row('leases', id, false)
    return nil
  end
  if unwanted(job) then
    finish_unwanted(job)
    return job.state
  end
  if job.deadline <= NOW then
    finish_expired(job)
    return 'expired'
  end
  job.crashes, job.extra = job.crashes + 1, '1'
  if job.crashes >= budget then
    finish(job, 'reap', 'failed', 'job.failed', '{"error":' .. failure .. '}', 'crash_loop', 'error', failure)
    return 'failed'
  end
  end_lease(job, 'reap')
  requeue(job, inbox_again(job))
  event(job, 'job.retrying', '{"reason":' .. reason .. '}')
  job.reason = reason
  write(job)
  return 'requeued'
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', ROWS.leases, '-inf', NOW, 'LIMIT', 0, BOUND)) do
  if deliveries >= MANY_DELIVERIES then break end
  local outcome = apart(id, reap, id)
  -- Looked at again after a lease, so that it does not keep the others from being seen.
  if outcome == 'ERROR' then row('leases', id, NOW + lease) end
  if outcome then
    outcomes[#outcomes + 1] = id
    outcomes[#outcomes + 1] = string.lower(outcome)
  end
end
settle()
flush()
return outcomes
