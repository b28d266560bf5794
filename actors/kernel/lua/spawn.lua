-- spawn: a running job gets children, which run in its partition beside it.
--
-- KEYS 9   job:<parent>
--      10+ job:<parent>.<number>, one a child
-- ARGV 7   parent   8 fence   9 what the failure of a child does to the parent: go_on | fail
--      10+ ten a child: number (from 1), kind, stage, lane, rescue, priority ('': the parent's), listed (1 or 0), spec,
--          input, refs
-- Reply    {status, outcome, …}; status as in part `end_lease` (only under OK was anything done), or DEEP: children may
--          have children three times. Outcomes, one a child: OK | EXISTS | MANY (a number beyond 10 000)
--          an OOM error: Redis is full, nothing was written, since the first write may grow
-- Repeat   children that exist answer EXISTS. One that was ended with an earlier run of its parent runs again.

local MOST = 10000
local DEEPEST = 3

local parent, fence, on_child_failure = read(ARGV[7]), ARGV[8], ARGV[9]
local status = standing(parent, 'spawn', fence)
if status == 'LATE' then status = 'FENCED' end
if status ~= 'OK' then return { status } end
local _, depth = string.gsub(parent.id, '%.%d+', '')
if depth >= DEEPEST then return { 'DEEP' } end

local key = kids_of(parent.id)
local reply = { 'OK' }
redis.call('HSET', parent.key, 'on_child_failure', on_child_failure, 'extra', 1)

local reviving = redis.call('HGET', key, 'revive')

-- A child that is there already. One that ended with its parent, or without success before its parent was replayed, begins
-- again; one whose row was lost gets it back.
local function meet(id, number, known)
  local child = read(id)
  if not child then return end
  local ended = TERMINAL[child.state]
  if not known then
    redis.call('HSET', key, number, ended and child.state .. ' ' .. child.fence or 'open')
    if not ended then redis.call('HINCRBY', key, 'open', 1) end
  elseif ended and child.state ~= 'completed' and (known == 'open' or reviving) then
    reopen_row(child, parent, '')
  end
end

local function spawn(number, kind, stage, lane, rescue, priority, listed, spec, input, refs)
  if tonumber(number) > MOST then return 'MANY' end
  local id = parent.id .. '.' .. number
  local known = redis.call('HGET', key, number)
  if known or redis.call('EXISTS', ROOT .. 'job:' .. id) == 1 then
    meet(id, number, known)
    return 'EXISTS'
  end
  local child = newborn(id, { tenant = parent.tenant, kind = kind, stage = stage, lane = lane, rescue = rescue,
    priority = priority ~= '' and priority or parent.priority, listed = listed, parent = parent.id,
    deadline = parent.deadline })
  create(child, spec, input, refs)
  redis.call('HSET', key, number, 'open')
  redis.call('HINCRBY', key, 'open', 1)
  parent.children = math.max(parent.children, tonumber(number))
  enqueue(child, 'job.queued', '{"stage":"' .. stage .. '"}')
  write(child)
  return 'OK'
end

for index = FIRST + 3, #ARGV, 10 do
  reply[#reply + 1] = spawn(unpack(ARGV, index, index + 9))
end
redis.call('HSET', parent.key, 'children', parent.children)
flush()
return reply
