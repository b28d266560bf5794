-- promote: delayed jobs whose time has come are queued.
--
-- Reply   the ids that were queued or ended, at most 100 a call
-- Repeat  harmless.

local moved = {}
shrink_first()

local function promote(id)
  local job = read(id)
  row('due', id, false)
  if not job or job.state ~= 'delayed' then return end
  if unwanted(job) then
    finish_unwanted(job)
  elseif job.deadline <= NOW then
    finish_expired(job)
  else
    leave(job)
    job.reason = ''
    enqueue(job, 'job.queued', '{"stage":"' .. job.stage .. '"}')
    write(job)
  end
  moved[#moved + 1] = id
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', ROWS.due, '-inf', NOW, 'LIMIT', 0, BOUND)) do
  if deliveries >= MANY_DELIVERIES then break end
  if apart(id, promote, id) == 'ERROR' then row('due', id, NOW + POSTPONED_MS) end
end
settle()
flush()
return moved
