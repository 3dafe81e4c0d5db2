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

local spec = obj.spec or {}
local annotations = metadata.annotations or {}
if spec.suspend == true or annotations["naru.dev/suspended"] == "true" then
  health.status = "Suspended"
  health.message = "suspended"
  return health
end

-- Waits for a person, and for nothing else.
local waits = {WaitingForApproval = true, AwaitingApproval = true}
for _, name in ipairs({"Ready", "Reconciling"}) do
  if conditions[name] ~= nil and waits[conditions[name].reason] and not (name == "Ready" and holds("Ready")) then
    health.status = "Suspended"
    health.message = message(name, "waits for approval")
    return health
  end
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
