-- Approves the plan that the status shows, and no other: when it changes, the approval is none for the new one.
local plan = obj.status ~= nil and obj.status.plan or nil
if plan == nil or plan.id == nil or plan.id == "" then
  error("there is no plan that waits for an approval")
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["naru.dev/approve-plan"] = plan.id
return obj
