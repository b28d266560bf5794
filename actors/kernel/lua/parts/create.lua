-- Part `create`: a job comes into being. Fields that are absent read as 0 or ''.

-- A job that is not in Redis yet; `fields` are tenant, kind, stage, lane, rescue, priority, listed, parent and deadline.
local function newborn(id, fields)
  fields.id, fields.key, fields.created_at, fields.stored, fields.more = id, ROOT .. 'job:' .. id, NOW, {}, {}
  fields.extra = (fields.parent ~= '' or fields.rescue ~= '') and '1' or ''
  for index, name in ipairs(STORED) do fields[name] = fields[name] or (index <= TEXTS and '' or 0) end
  for index, name in ipairs(EXTRA) do fields[name] = fields[name] or (index <= EXTRA_TEXTS and '' or 0) end
  return fields
end

-- Writes what never changes, and the job's rows. The caller lets it wait (`enqueue`) and writes the rest.
local function create(job, spec, input, refs)
  redis.call('HSET', job.key, 'v', 1, 'created_at', NOW, 'first', job.stage .. ':' .. job.lane .. ':' .. job.rescue, 'first_input',
    input, 'spec', spec, 'input', input, 'refs', refs)
  row('active', job.id, NOW)
  row('deadlines', job.id, job.deadline)
  if job.listed == '1' then redis.call('ZADD', ROOT .. 'jobs:' .. job.tenant, NOW, job.id) end
end
