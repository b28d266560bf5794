-- take: grants work to one worker, in the order of the inboxes given, never more than it wants.
--
-- KEYS 9    taken:<nonce>
--      10+  inboxes, in the order to read them
-- ARGV 5    worker (consumer name)   6 nonce, new for every call   7 want (jobs)   8 lease (ms)
-- Reply     {grants, bells}
--           grants  one {id, fence, stage, tenant, kind, attempt, crashes, deadline, lane, priority, percent, spec, input, refs} per job
--           bells   inbox, last delivered id, …: where to listen for new work; empty when something was granted
-- Repeat    the same nonce renews the fences it granted and answers those that still stand.
--
-- The job hash decides. A hint whose job is not queued with exactly this entry in exactly this inbox is stale and is
-- dropped, so lost, doubled and resurrected entries start nothing. Reading and granting are one script: there is no
-- moment in which an entry is delivered and its job is not running.

local worker, nonce, want, lease = ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local KEPT_MS = 300000
local grants, bells = {}, {}

local function grant(job)
  local bodies = redis.call('HMGET', job.key, 'spec', 'input', 'refs')
  grants[#grants + 1] = { job.id, job.fence, job.stage, job.tenant, job.kind, job.attempt, job.crashes,
    string.format('%.0f', job.deadline), job.lane, job.priority, tostring(job.percent), bodies[1], bodies[2], bodies[3] }
  row('leases', job.id, NOW + lease)
end

local earlier = redis.call('GET', KEYS[9])
if earlier then
  for id, fence in string.gmatch(earlier, '(%S+) (%S+)') do
    local job = read(id)
    if job and job.state == 'running' and job.fence == fence then grant(job) end
  end
  shrink_first()
  flush()
  return { grants, bells }
end

shrink_first()

local function start(job)
  job.takes = job.takes + 1
  job.fence = job.takes .. '.' .. nonce
  job.state = 'running'
  event(job, 'job.started', '{"stage":"' .. job.stage .. '","attempt":' .. (job.attempt + job.crashes + 1) .. '}')
  write(job, 'state', 'running', 'fence', job.fence, 'owner', worker, 'takes', job.takes, 'started_at', NOW)
  grant(job)
end

local function meet(inbox, entry, id)
  local job = id and read(id)
  if not job or job.state ~= 'queued' or job.entry ~= entry or job.inbox ~= inbox then
    drop_hint(inbox, entry)
  elseif job.cancel ~= '' then
    finish_cancelled(job)
  elseif job.deadline <= NOW then
    finish_expired(job)
  else
    start(job)
  end
end

local function read_group(stream, count)
  local reply = redis.pcall('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', count, 'STREAMS', stream, '>')
  if reply and reply.err then
    if not string.find(reply.err, 'NOGROUP', 1, true) then return error(reply.err, 0) end
    -- From the beginning: what was waiting when the group was lost is still work, and stale entries are dropped above.
    redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
    reply = redis.call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', count, 'STREAMS', stream, '>')
  end
  return reply and reply[1][2] or {}
end

local met = 0
for index = 10, #KEYS do
  local inbox = string.sub(KEYS[index], #ROOT + 1)
  while #grants < want and met < BOUND do
    local entries = read_group(KEYS[index], math.min(want - #grants, BOUND - met))
    if #entries == 0 then break end
    for _, entry in ipairs(entries) do
      met = met + 1
      meet(inbox, entry[1], entry[2] and entry[2][2])
    end
  end
end

if #grants > 0 then
  local names = {}
  for index, granted in ipairs(grants) do names[index] = granted[1] .. ' ' .. granted[2] end
  redis.call('SET', KEYS[9], table.concat(names, ' '), 'PX', KEPT_MS)
else
  for index = 10, #KEYS do
    local delivered = last_delivered(KEYS[index])
    if delivered then
      bells[#bells + 1] = KEYS[index]
      bells[#bells + 1] = delivered
    end
  end
end
flush()
return { grants, bells }
