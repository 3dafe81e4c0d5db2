# What Terraform knows of one environment, for `terraform output -json | naru bridge`. In an estate of your own the values
# come from resources: module.opensearch.domain_endpoint, split(",", module.msk.bootstrap_brokers_sasl_iam) and so on.
variable "environment" {
  type    = string
  default = "dev"
}

variable "repository" {
  description = "Where this folder stands in Git."
  type        = string
  default     = "https://git.example/estate.git"
}

variable "opensearch_url" {
  description = "Where OpenSearch is; without it the example's."
  type        = string
  default     = ""
}

variable "kafka_brokers" {
  description = "Where Kafka is; without it the example's."
  type        = list(string)
  default     = []
}

locals {
  opensearch_url = var.opensearch_url != "" ? var.opensearch_url : "https://search.${var.environment}.example:9200"
  kafka_brokers  = length(var.kafka_brokers) > 0 ? var.kafka_brokers : ["kafka-1.${var.environment}.example:9092", "kafka-2.${var.environment}.example:9092"]
}

module "naru" {
  source       = "../../../deploy/terraform/naru-bridge"
  cluster_name = "${var.environment}-1"
  environment  = var.environment
  addons_repo  = { url = var.repository, revision = "main", basepath = "examples/gitops/" }
  naru         = { chart_repo = "registry.example/charts", version = "0.1.0" }
  opensearch   = { url = local.opensearch_url, secret = "naru-opensearch" }
  kafka        = { brokers = local.kafka_brokers, secret = "naru-kafka" }
  metadata     = { shards = var.environment == "prod" ? 6 : 1 }
}

output "gitops_metadata" {
  value = module.naru.values
}
