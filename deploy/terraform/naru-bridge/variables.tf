variable "cluster_name" {
  description = "The cluster's name in Argo CD."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$", var.cluster_name))
    error_message = "cluster_name becomes a label: 1 to 63 letters, digits, and - _ . inside."
  }
}

variable "environment" {
  description = "Which environment it is; the name of its overlay in Git."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$", var.environment))
    error_message = "environment becomes a label: 1 to 63 letters, digits, and - _ . inside."
  }
}

variable "addons" {
  description = "What ApplicationSets install: enable_* labels, like { enable_naru = true }."
  type        = map(bool)
  default     = { enable_naru = true }
  validation {
    condition     = alltrue([for k in keys(var.addons) : can(regex("^enable_[A-Za-z0-9_]{0,55}[A-Za-z0-9]$", k))])
    error_message = "The keys of addons are enable_NAME, of at most 63 characters."
  }
}

variable "addons_repo" {
  description = "The Git repository that ApplicationSets install from. basepath ends with a slash, or is empty."
  type = object({
    url      = string
    revision = optional(string, "HEAD")
    basepath = optional(string, "")
    path     = optional(string)
  })
  validation {
    condition     = var.addons_repo.url != "" && var.addons_repo.revision != ""
    error_message = "addons_repo.url and addons_repo.revision must not be empty."
  }
  validation {
    condition     = var.addons_repo.basepath == "" || endswith(var.addons_repo.basepath, "/")
    error_message = "addons_repo.basepath is empty or ends with a slash."
  }
}

variable "naru" {
  description = "naru's charts: an OCI registry without oci://, and their version; role_arn is that of naru's service account."
  type = object({
    chart_repo = string
    version    = string
    role_arn   = optional(string)
  })
  validation {
    condition     = var.naru.version != "" && var.naru.chart_repo != "" && !startswith(var.naru.chart_repo, "oci://")
    error_message = "naru.version and naru.chart_repo must not be empty; chart_repo has no oci:// before it."
  }
}

variable "opensearch" {
  description = "The cluster that the environment declares. secret names a Secret in the cluster; a password is never given here."
  type = object({
    url               = string
    dashboards_url    = optional(string)
    secret            = optional(string)
    domain_arn        = optional(string)
    snapshot_bucket   = optional(string)
    snapshot_role_arn = optional(string)
  })
  validation {
    condition     = var.opensearch.url != "" && !can(regex("://[^/]*@", var.opensearch.url))
    error_message = "opensearch.url must not be empty, and has no user and password in it."
  }
}

variable "kafka" {
  description = "Kafka, if flows use it. brokers are HOST:PORT; MSK's text with commas goes through split(\",\", …)."
  type = object({
    brokers     = list(string)
    secret      = optional(string)
    cluster_arn = optional(string)
  })
  default = null
  validation {
    condition     = var.kafka == null ? true : length(var.kafka.brokers) > 0 && alltrue([for b in var.kafka.brokers : can(regex("^[^\\s,/@]+:[0-9]{1,5}$", b))])
    error_message = "kafka.brokers are HOST:PORT, at least one."
  }
}

variable "archive_bucket" {
  description = "The bucket of archives, if there is one."
  type        = string
  default     = null
}

variable "aws" {
  description = "Where it runs."
  type = object({
    region     = optional(string)
    account_id = optional(string)
    vpc_id     = optional(string)
  })
  default = {}
}

variable "metadata" {
  description = "More values, an object: $${name} in an environment's files, and annotations of the same name. Lists and objects become JSON."
  type        = any
  default     = {}
  validation {
    condition     = can(keys(var.metadata)) && alltrue([for k in try(keys(var.metadata), []) : can(regex("^[A-Za-z]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", k))])
    error_message = "metadata is an object, whose keys have at most 63 letters, digits, and _ . - inside, a letter first."
  }
}
