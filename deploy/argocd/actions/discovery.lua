-- Which actions there are for a Flow, a Migration or an Environment, and which of them make sense now.
local annotations = obj.metadata.annotations or {}
local status = obj.status or {}
local spec = obj.spec or {}
local asked = annotations["naru.dev/suspended"] == "true"

local function action(name, icon, enabled)
  return {["displayName"] = name, ["iconClass"] = "fa fa-fw " .. icon, ["disabled"] = not enabled}
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
  local waits = false
  for _, c in ipairs(status.conditions or {}) do
    waits = waits or (c.type == "Ready" and c.reason == "AwaitingApproval")
  end
  local id = status.plan ~= nil and status.plan.id or nil
  waits = waits and id ~= nil and id ~= "" and annotations["naru.dev/approve-plan"] ~= id
  actions["approve-plan"] = action("Approve this plan", "fa-check", waits)
end
return actions
