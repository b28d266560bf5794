-- Part `create`: a job comes into being. Fields that are absent read as 0 or ''.

-- A job that is not in Redis yet; `fields` are tenant, kind, stage, lane, rescue, priority, listed, parent and deadline.
local function newborn(id, fields)
  fields.id, fields.key, fields.created_at, fields.turn = id, ROOT .. 'job:' .. id, NOW, ''
  for _, name in ipairs({ 'takes', 'attempt', 'crashes', 'rev', 'percent', 'children' }) do fields[name] = 0 end
  for _, name in ipairs({ 'inbox', 'entry', 'fence', 'reason', 'pinned', 'cancel', 'doomed' }) do fields[name] = '' end
  return fields
end

-- Writes what stays with the job and its rows. The caller lets it wait (`enqueue`) and writes that.
local function create(job, spec, input, refs)
  redis.call('HSET', job.key, 'v', 1, 'stage', job.stage, 'lane', job.lane, 'rescue', job.rescue, 'priority', job.priority,
    'tenant', job.tenant, 'kind', job.kind, 'listed', job.listed, 'parent', job.parent, 'deadline', job.deadline,
    'created_at', NOW, 'spec', spec, 'input', input, 'refs', refs, 'first', job.stage .. ':' .. job.lane,
    'first_input', input)
  row('active', job.id, NOW)
  row('deadlines', job.id, job.deadline)
  if job.listed == '1' then redis.call('ZADD', ROOT .. 'jobs:' .. job.tenant, NOW, job.id) end
end
