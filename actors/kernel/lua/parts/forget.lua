-- Part `forget`: nothing is kept of a job that has ended.

-- Takes it out of every ledger; what it had for itself is the caller's to delete, which no worker may.
local function forget(job)
  local grave = redis.call('HGET', job.key, 'grave')
  if grave and grave ~= '' then redis.call('XDEL', ROOT .. 'dead:' .. job.stage, grave) end
  redis.call('ZREM', DEAD, job.id)
  redis.call('ZREM', ROOT .. 'jobs:' .. job.tenant, job.id)
  row('deadlines', job.id, false)
end
