module "bridge" {
  source       = "../../../../deploy/terraform/naru-bridge"
  cluster_name = "prod-1"
  environment  = "prod"
  addons       = { enable_naru = true, enable_flows = false }
  addons_repo  = { url = "https://git.example/estate.git", revision = "v1.4.0", basepath = "gitops/" }
  naru         = { chart_repo = "registry.example/charts", version = "1.2.3", role_arn = "arn:aws:iam::123456789012:role/naru" }
  opensearch   = { url = "vpc-logs.eu-central-1.es.amazonaws.com", secret = "opensearch-login", snapshot_bucket = "snapshots-prod" }
  kafka        = { brokers = split(",", "b-1.msk:9098,b-2.msk:9098,b-3.msk:9098"), secret = "kafka-login" }
  aws          = { region = "eu-central-1", account_id = "012345678901", vpc_id = "vpc-1" }
  metadata = {
    shards  = 3
    ratio   = 0.5
    tiered  = true
    zones   = ["a", "b"]
    note    = "[]"
    says    = "a <b> & \"c\"\n  ünï 🎉 # no comment: ${"$"}{x}"
    version = "1.10"
    owner   = { team = "logs", pager = null, levels = [1, [2, "x"]] }
  }
}
output "gitops_metadata" { value = module.bridge.values }
output "annotations" { value = module.bridge.annotations }
output "labels" { value = module.bridge.labels }
output "password" {
  value     = "hunter2"
  sensitive = true
}
output "kubeconfig" { value = "apiVersion: v1" }
output "msk_bootstrap_brokers_tls" { value = "b-1.msk:9094,b-2.msk:9094" }
output "subnets" { value = toset(["subnet-2", "subnet-1"]) }
output "large" { value = 123456789012345678901234567890 }
output "nothing" { value = null }
