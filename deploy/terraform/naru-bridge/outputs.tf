output "metadata" {
  description = "The values as texts: annotations, without the record of how they are read back."
  value       = local.metadata
  precondition {
    condition     = length(local.taken) == 0
    error_message = "metadata has names that this module gives itself: ${join(", ", local.taken)}."
  }
}

output "annotations" {
  description = "All annotations of the cluster secret."
  value       = local.annotations
  precondition {
    condition     = sum([for k, v in local.annotations : length(k) + length(base64encode(v)) * 3 / 4]) <= 262144 # bytes, not characters
    error_message = "The annotations of a secret have at most 256 KiB."
  }
}

output "labels" {
  description = "All labels of the cluster secret."
  value       = local.labels
}

output "cluster" {
  description = "What the modules of gitops-bridge-dev/gitops-bridge take as cluster."
  value = {
    cluster_name = var.cluster_name
    environment  = var.environment
    addons       = { for k, v in local.labels : k => v if startswith(k, "enable_") }
    metadata     = local.annotations
  }
}

# For `terraform output -json | naru bridge`: output "gitops_metadata" { value = module.NAME.values }
output "values" {
  description = "The values with their types, for a root output gitops_metadata that `naru bridge` reads."
  value = merge(
    local.texts,
    var.kafka == null ? {} : { kafka_brokers = var.kafka.brokers },
    { for k, v in var.metadata : k => v if v != null },
    var.addons,
  )
}
