-- Part `create`: a job comes into being. Fields that are absent read as 0 or ''.

-- A job that is not in Redis yet; `fields` are tenant, kind, stage, lane, rescue, priority, listed, parent and deadline.
local function newborn(id, fields)
  fields.id, fields.key, fields.created_at, fields.stored = id, ROOT .. 'job:' .. id, NOW, NOTHING
  fields.extra = (fields.parent ~= '' or fields.rescue ~= '') and '1' or ''
  for _, name in ipairs({ 'inbox', 'entry', 'fence', 'ended', 'reason' }) do fields[name] = '' end
  for _, name in ipairs({ 'takes', 'percent', 'rev' }) do fields[name] = 0 end
  return setmetatable(fields, ORDINARY)
end

-- Gives the job its rows, and what is written once, with its first `write`, which is the caller's; before that it lets the
-- job wait (`enqueue`).
local function create(job, spec, input, refs)
  job.birth = { 'tenant', job.tenant, 'kind', job.kind, 'listed', job.listed, 'priority', job.priority, 'v', 1, 'created_at', NOW_TEXT,
    'first', job.stage .. ':' .. job.lane .. ':' .. job.rescue, 'first_input', input, 'spec', spec, 'input', input, 'refs', refs }
  row('active', job.id, NOW_TEXT)
  row('deadlines', job.id, job.deadline)
  if job.listed == '1' then redis.call('ZADD', ROOT .. 'jobs:' .. job.tenant, NOW_TEXT, job.id) end
end
