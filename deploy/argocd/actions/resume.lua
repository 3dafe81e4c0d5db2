-- Takes back what suspend asked for.
if obj.metadata.annotations ~= nil then
  obj.metadata.annotations["naru.dev/suspended"] = nil
end
return obj
