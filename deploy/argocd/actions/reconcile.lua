-- Has the operator look at once, and not only when its interval is over.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["naru.dev/reconcile-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
