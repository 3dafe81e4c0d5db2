-- How well a Flow, a Migration or an Environment is, for Argo CD. It reads what the operator writes by the rules of kstatus:
-- observedGeneration, and the conditions Ready, Reconciling and Stalled. Argo CD gives it base and table functions only.
local health = {status = "Progressing", message = "waiting for naru's operator"}
local metadata = obj.metadata or {}
local status = obj.status

if metadata.deletionTimestamp ~= nil then
  health.message = "Pending deletion" -- as Argo CD itself says
  return health
end
if status == nil or status.conditions == nil then
  return health
end
if status.observedGeneration ~= nil and metadata.generation ~= nil and status.observedGeneration < metadata.generation then
  health.message = "generation " .. tostring(metadata.generation) .. " is not seen by the operator yet"
  return health
end

-- What was said of another generation says nothing of this one.
local conditions = {}
for _, c in ipairs(status.conditions) do
  if c.observedGeneration == nil or metadata.generation == nil or c.observedGeneration >= metadata.generation then
    conditions[c.type] = c
  end
end
local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end
local function message(name, otherwise)
  local c = conditions[name]
  if c == nil then
    return otherwise
  end
  if c.message ~= nil and c.message ~= "" then
    return c.message
  end
  return c.reason or otherwise
end

if holds("Stalled") then
  health.status = "Degraded"
  health.message = message("Stalled", "stalled")
  return health
end

-- Not on its way, and not broken: somebody asked for it, or has to say something. Ready is False then, with one of these reasons.
local rests = {Suspended = true, AwaitingApproval = true, Differs = true}
if conditions.Ready ~= nil and not holds("Ready") and rests[conditions.Ready.reason] then
  health.status = "Suspended"
  health.message = message("Ready", "suspended")
  return health
end

if holds("Ready") then
  health.status = "Healthy"
  health.message = message("Ready", "ready")
  if holds("Drifted") then
    health.message = health.message .. "; drifted: " .. message("Drifted", "somebody changed what was applied")
  end
  return health
end
if holds("Reconciling") then
  health.message = message("Reconciling", "reconciling")
  return health
end
health.message = message("Ready", health.message)
return health
