-- expire: ends jobs whose deadline has passed, running ones too; their workers hear DEADLINE at the next beat.
--
-- Reply   {expired, retained}: the ids that were ended, and terminal jobs whose retention is over (for `retention`, after
--         their files have been swept); at most 100 rows a call
-- Repeat  harmless.

local expired, retained = {}, {}
shrink_first()

local function expire(id)
  local job = read(id)
  if not job then
    row('deadlines', id, false)
  elseif TERMINAL[job.state] then
    retained[#retained + 1] = id
  elseif unwanted(job) then
    finish_unwanted(job)
  else
    finish_expired(job)
    expired[#expired + 1] = id
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', ROWS.deadlines, '-inf', NOW, 'LIMIT', 0, BOUND)) do
  if deliveries >= MANY_DELIVERIES then break end
  if apart(id, expire, id) == 'ERROR' then row('deadlines', id, NOW + POSTPONED_MS) end
end
settle()
flush()
return { expired, retained }
