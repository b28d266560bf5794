-- cancel: a client does not want the job any more.
--
-- KEYS 9  job:<id>
-- ARGV 7  id   8 by (who asked)
-- Reply   {CANCELLED, state}  it had not been running: ended now
--         {FLAGGED, state}    it runs: its worker hears CANCEL at the next beat, and every later transition ends it cancelled
--         {TERMINAL, state}   it had already ended
--         {GONE, ''}          no such job
-- Repeat  answers FLAGGED or TERMINAL; the first `by` stands.

shrink_first()

local function cancel(id, by)
  local job = read(id)
  if not job then return { 'GONE', '' } end
  if TERMINAL[job.state] then return { 'TERMINAL', job.state } end
  if job.cancel == '' then
    job.cancel, job.extra = by, '1'
    redis.call('HSET', job.key, 'cancel', by, 'extra', 1, 'cancel_requested_at', NOW_TEXT, 'updated_at', NOW_TEXT)
  end
  if job.state == 'running' then return { 'FLAGGED', 'running' } end
  finish_unwanted(job)
  return { 'CANCELLED', 'cancelled' }
end

local reply = apart(ARGV[7], cancel, ARGV[7], ARGV[8])
settle()
flush()
if reply == 'ERROR' then return redis.error_reply('ERR the data of job ' .. ARGV[7] .. ' cannot be used') end
return reply
