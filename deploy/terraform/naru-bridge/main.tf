# What is known of an environment, by the names that `naru bridge mapping` lists. No provider is needed.
locals {
  known = {
    cluster_name              = var.cluster_name
    environment               = var.environment
    addons_repo_url           = var.addons_repo.url
    addons_repo_revision      = var.addons_repo.revision
    addons_repo_basepath      = var.addons_repo.basepath
    addons_repo_path          = var.addons_repo.path
    naru_chart_repo           = var.naru.chart_repo
    naru_version              = var.naru.version
    naru_role_arn             = var.naru.role_arn
    opensearch_url            = can(regex("://", var.opensearch.url)) ? var.opensearch.url : "https://${var.opensearch.url}"
    opensearch_dashboards_url = try(var.opensearch.dashboards_url == "" || can(regex("://", var.opensearch.dashboards_url)) ? var.opensearch.dashboards_url : "https://${var.opensearch.dashboards_url}", null)
    opensearch_secret         = var.opensearch.secret
    opensearch_domain_arn     = var.opensearch.domain_arn
    snapshot_bucket           = var.opensearch.snapshot_bucket
    snapshot_role_arn         = var.opensearch.snapshot_role_arn
    kafka_secret              = try(var.kafka.secret, null)
    kafka_cluster_arn         = try(var.kafka.cluster_arn, null)
    archive_bucket            = var.archive_bucket
    aws_region                = var.aws.region
    aws_account_id            = var.aws.account_id
    aws_vpc_id                = var.aws.vpc_id
  }
  texts = { for k, v in local.known : k => v if v != null }

  # JSON of all others: a list or an object has no other form as an annotation.
  coded = merge(
    var.kafka == null ? {} : { kafka_brokers = jsonencode(var.kafka.brokers) },
    { for k, v in var.metadata : k => jsonencode(v) if v != null },
  )
  types = merge(
    { for k in keys(local.texts) : k => "text" },
    { for k, v in local.coded : k => (
      startswith(v, "\"") ? "text" :
      startswith(v, "[") ? "list" :
      startswith(v, "{") ? "object" :
      contains(["true", "false"], v) ? "bool" : "number"
    ) },
  )
  metadata = merge(
    local.texts,
    { for k, v in local.coded : k => jsondecode(v) if local.types[k] == "text" },
    { for k, v in local.coded : k => v if local.types[k] != "text" },
  )
  taken = setintersection(keys(var.metadata), concat(keys(local.known), ["kafka_brokers"], keys(var.addons)))

  labels = merge(
    { enable_argocd = "true" },
    { for k, v in var.addons : k => tostring(v) },
    {
      "argocd.argoproj.io/secret-type" = "cluster"
      cluster_name                     = var.cluster_name
      environment                      = var.environment
    },
  )

  # How each value is read back, as `naru bridge` writes it.
  record = merge(
    { for k, t in local.types : k => { type = t } if !contains(["cluster_name", "environment"], k) },
    { for k in ["cluster_name", "environment"] : k => { type = "text", annotation = k, label = k } },
    { for k in keys(var.addons) : k => { type = "bool", label = k } },
  )
  annotations = merge(local.metadata, { "naru.dev/bridge" = jsonencode(local.record) })
}
