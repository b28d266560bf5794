-- cancel: a client does not want the job any more.
--
-- KEYS 9  job:<id>
-- ARGV 7  id   8 by (who asked)
-- Reply   {CANCELLED, state}  it had not been running: ended now
--         {FLAGGED, state}    it runs: its worker hears CANCEL at the next beat, and every later transition ends it cancelled
--         {TERMINAL, state}   it had already ended
--         {GONE, ''}          no such job
-- Repeat  answers FLAGGED or TERMINAL; the first `by` stands.

local job = read(ARGV[7])
if not job then return { 'GONE', '' } end
if TERMINAL[job.state] then return { 'TERMINAL', job.state } end

shrink_first()
if job.cancel == '' then
  job.cancel = ARGV[8]
  redis.call('HSET', job.key, 'cancel', job.cancel, 'cancel_requested_at', NOW, 'updated_at', NOW)
end
if job.state == 'running' then return { 'FLAGGED', 'running' } end
finish_unwanted(job)
settle()
flush()
return { 'CANCELLED', 'cancelled' }
