-- promote: delayed jobs whose time has come are queued.
--
-- Reply   the ids that were queued or ended, at most 100 a call
-- Repeat  harmless.

local moved = {}
shrink_first()

for _, id in ipairs(redis.call('ZRANGEBYSCORE', ROWS.due, '-inf', NOW, 'LIMIT', 0, BOUND)) do
  local job = read(id)
  row('due', id, false)
  if job and job.state == 'delayed' then
    if job.deadline <= NOW then
      finish_expired(job)
    else
      requeue(job, inbox_of(job))
      event(job, 'job.queued', '{"stage":"' .. job.stage .. '"}')
      write(job, 'state', 'queued', 'inbox', job.inbox, 'entry', job.entry)
    end
    moved[#moved + 1] = id
  end
end
flush()
return moved
