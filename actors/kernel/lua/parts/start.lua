-- Part `start`: a worker is given a stage.

-- Makes the job run under a new fence, with a lease until `ends` (server ms). The caller has taken it from where it was,
-- and writes it.
local function start(job, nonce, ends)
  job.takes = job.takes + 1
  job.fence = text_of[job.takes] .. '.' .. nonce
  job.state = 'running'
  event(job, 'job.started', '{"stage":"' .. job.stage .. '","attempt":' .. text_of[job.attempt + job.crashes + 1] .. '}')
  row('leases', job.id, ends)
end
