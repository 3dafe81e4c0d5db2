-- Which actions there are for a Flow, a Migration or an Environment, and which of them make sense now.
local annotations = obj.metadata.annotations or {}
local status = obj.status or {}
local spec = obj.spec or {}
local asked = annotations["naru.dev/suspended"] == "true"

local function action(name, icon, enabled)
  return {["displayName"] = name, ["iconClass"] = "fa fa-fw " .. icon, ["disabled"] = not enabled}
end

local ready = {}
local stalled = {}
for _, c in ipairs(status.conditions or {}) do
  if c.type == "Ready" then
    ready = c
  end
  if c.type == "Stalled" then
    stalled = c
  end
end

local actions = {}
actions["reconcile"] = action("Look again now", "fa-sync", true)
actions["suspend"] = action("Suspend", "fa-pause", not asked and spec.suspend ~= true)
-- What Git suspends (spec.suspend), only Git resumes.
actions["resume"] = action("Resume", "fa-play", asked)

if obj.kind == "Migration" then
  local done = false
  for _, c in ipairs(status.conditions or {}) do
    done = done or (c.type == "CutOver" and c.status == "True")
  end
  local manual = spec.cutover ~= nil and spec.cutover.approval ~= "Automatic"
  actions["approve-cutover"] = action("Approve cutover", "fa-check", manual and not done and annotations["naru.dev/approve-cutover"] ~= "true")
end
if obj.kind == "Environment" then
  local id = status.plan ~= nil and status.plan.id or nil
  local waits = ready.reason == "AwaitingApproval" and id ~= nil and id ~= "" and annotations["naru.dev/approve-plan"] ~= id
  actions["approve-plan"] = action("Approve this plan", "fa-check", waits)
end
if obj.kind ~= "Environment" then
  local partial = stalled.status == "True" and stalled.reason == "Partial"
  actions["approve-partial"] = action("Accept what is not whole", "fa-check", partial and annotations["naru.dev/approve-partial"] ~= "true")
end
if obj.kind ~= "Flow" then
  actions["approve-delete"] = action("Approve deletion", "fa-trash", annotations["naru.dev/approve-delete"] ~= "true")
end
return actions
