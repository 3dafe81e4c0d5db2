-- Accepts that something could not be carried whole; what it is stands in the status.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["naru.dev/approve-partial"] = "true"
return obj
