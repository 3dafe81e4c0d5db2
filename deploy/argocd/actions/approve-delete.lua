-- Lets it be deleted, by a prune as well, where the chart's deletionProtection is on.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["naru.dev/approve-delete"] = "true"
return obj
