-- take: grants work to one worker, in the order of the inboxes given, never more than it wants.
--
-- KEYS 9    taken:<nonce>
--      10+  inboxes, in the order to read them
-- ARGV 7    worker (consumer name)   8 nonce, new for every call   9 want (jobs)   10 lease (ms)   11 jobs it holds now
-- Reply     {grants, bells, paused, clear}
--           grants  one {id, fence, stage, tenant, kind, attempt, crashes, deadline, lane, priority, percent, parent,
--                   children, spec, input, refs} per job
--           bells   inbox, last delivered id, …: where to listen for new work; empty when something was granted
--           paused  stages that were asked for and are paused: their inboxes were not read
--           clear   1: a job waits in `alone`, and this worker is to take nothing until it holds nothing
-- Repeat    the same nonce renews the fences it granted, as `beat` does, and answers those that still stand: a worker whose
--           reply was lost while its leases ran out has cost nothing.
--
-- The job hash decides. A hint whose job is not queued with exactly this entry in exactly this inbox is stale and is
-- dropped, so lost, doubled and resurrected entries start nothing. Reading and granting are one script: there is no
-- moment in which an entry is delivered and its job is not running.
--
-- `alone` holds jobs that have cost two workers. Only a worker that holds nothing reads it, gets one job and takes nothing
-- beside it, so that the third crash costs nobody else. A worker that is busy is asked to make room, one at a time.

local worker, nonce, want, lease, holding = ARGV[7], ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local KEPT_MS = 300000
local CLEARING_MS = 60000
local WIDTH_MS = 600000
local grants, bells, paused, clear = {}, {}, {}, 0

local BODIES = #STORED + 1
local WITH_BODIES = { unpack(STORED) }
for _, body in ipairs({ 'spec', 'input', 'refs' }) do WITH_BODIES[#WITH_BODIES + 1] = body end
local UNTIL = text_of[NOW + lease]

local function grant(job)
  grants[#grants + 1] = { job.id, job.fence, job.stage, job.tenant, job.kind, job.attempt, job.crashes,
    job.stored[12], job.lane, job.priority, job.stored[11] or '0', job.parent, job.children,
    unpack(job.stored, BODIES, BODIES + 2) }
end

shrink_first()

local function grant_again(id, fence)
  local job = read(id, WITH_BODIES)
  if not job then return end
  resume(job, fence)
  if job.state == 'running' and job.fence == fence then
    grant(job)
    row('leases', id, UNTIL)
  end
end

local earlier = redis.call('GET', KEYS[9])
if earlier then
  for id, fence in string.gmatch(earlier, '(%S+) (%S+)') do apart(id, grant_again, id, fence) end
  settle()
  flush()
  return { grants, bells, paused, clear }
end

local function give(job)
  if in_window(job) then leave_window(job) end
  take_slot(job)
  start(job, nonce, UNTIL)
  -- All that changes, without a comparison: this is written more often than anything else.
  redis.call('HSET', job.key, 'state', job.state, 'fence', job.fence, 'takes', text_of[job.takes], 'owner', worker, 'started_at',
    NOW_TEXT, 'rev', text_of[job.rev], 'last_event', job.last_event, 'updated_at', NOW_TEXT)
  grant(job)
end

local function has_room(job)
  local limit = job.kind == 'delivery' and 0 or limit_of(job.tenant)
  return limit == 0 or size(slots(job.tenant)) < limit or has_slot(job)
end

local function meet(inbox, entry, id)
  local job = read(id, WITH_BODIES)
  if not job or job.state ~= 'queued' or job.entry ~= entry or job.inbox ~= inbox then
    drop_hint(inbox, entry)
  elseif unwanted(job) then
    finish_unwanted(job)
  elseif job.deadline <= NOW then
    finish_expired(job)
  elseif not has_room(job) then
    leave(job)
    hold(job, LIMITED)
    write(job)
  else
    give(job)
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

local function read_inbox(stream, most)
  local inbox = string.sub(stream, #ROOT + 1)
  while #grants < most and met < BOUND do
    local entries = read_group(stream, math.min(most - #grants, BOUND - met))
    if #entries == 0 then return end
    for _, entry in ipairs(entries) do
      met = met + 1
      local id = entry[2] and entry[2][2] or ''
      if apart(id, meet, inbox, entry[1], id) == 'ERROR' then drop_hint(inbox, entry[1]) end
    end
    settle(most - #grants)
  end
end

local function ask_to_clear(stream, inbox)
  if redis.call('XLEN', stream) == 0 or not has_waiting(inbox) then return end
  local claim = ROOT .. 'clearing:' .. inbox
  redis.call('SET', claim, worker, 'NX', 'PX', CLEARING_MS)
  if redis.call('GET', claim) == worker then clear = 1 end
end

-- The widest worker of the last ten minutes decides how many hints a tenant may have here.
local function widen(queue_name)
  local key, slots_of_worker = width_key(queue_name), holding + want
  if slots_of_worker > tonumber(redis.call('GET', key) or 0) then
    redis.call('SET', key, slots_of_worker, 'PX', WIDTH_MS)
  end
end

local open, asked = {}, {}
for index = 10, #KEYS do
  local stage, lane = string.match(KEYS[index], ':in:([^:]+):([^:]+):')
  if asked[stage] == nil then
    asked[stage] = redis.call('HEXISTS', ROOT .. 'paused', stage) == 1
    if asked[stage] then paused[#paused + 1] = stage end
    widen(stage .. ':' .. lane)
  end
  if not asked[stage] then open[#open + 1] = KEYS[index] end
end

local alone = false
repeat
  local before = #released
  for _, stream in ipairs(open) do
    if string.find(stream, ':alone', -#':alone', true) then
      local inbox = string.sub(stream, #ROOT + 1)
      if holding == 0 and #grants == 0 then
        read_inbox(stream, math.min(1, want))
        alone = #grants > 0
        if alone then redis.call('DEL', ROOT .. 'clearing:' .. inbox) end
      elseif not alone then
        ask_to_clear(stream, inbox)
      end
    elseif not alone then
      read_inbox(stream, want)
    end
  end
  -- Jobs whose turn has come may lie in inboxes that were read before.
until alone or #released == before or #grants >= want or met >= BOUND

if #grants > 0 then
  local names = {}
  for index, granted in ipairs(grants) do names[index] = granted[1] .. ' ' .. granted[2] end
  redis.call('SET', KEYS[9], table.concat(names, ' '), 'PX', KEPT_MS)
else
  for _, stream in ipairs(open) do
    -- An inbox that is not read must not ring either.
    local unread = holding > 0 and string.find(stream, ':alone', -#':alone', true)
    local delivered = not unread and last_delivered(stream)
    if delivered then
      bells[#bells + 1] = stream
      bells[#bells + 1] = delivered
    end
  end
end
flush()
return { grants, bells, paused, clear }
