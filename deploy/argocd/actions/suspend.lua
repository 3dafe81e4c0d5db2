-- An annotation, and not spec.suspend: that is Git's, and Argo CD would put it back.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["naru.dev/suspended"] = "true"
return obj
