-- Lets a Migration switch its aliases over, once what arrived is verified.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["naru.dev/approve-cutover"] = "true"
return obj
