# terraform test
variables {
  cluster_name = "prod-1"
  environment  = "prod"
  addons_repo  = { url = "https://git.example/estate.git", basepath = "gitops/" }
  naru         = { chart_repo = "registry.example/charts", version = "1.2.3" }
  opensearch   = { url = "search.example" }
  kafka        = { brokers = ["b-1:9098", "b-2:9098"] }
  metadata     = { shards = 3, tiered = true, zones = ["a", "b"], note = "[]", owner = { team = "logs" } }
}

run "names_and_types" {
  command = plan
  assert {
    condition     = output.metadata.opensearch_url == "https://search.example"
    error_message = "a host becomes a URL"
  }
  assert {
    condition     = output.metadata.kafka_brokers == "[\"b-1:9098\",\"b-2:9098\"]"
    error_message = "a list becomes JSON"
  }
  assert {
    condition     = jsondecode(output.annotations["naru.dev/bridge"]).note.type == "text" && output.metadata.note == "[]"
    error_message = "a text that looks like a list is a text"
  }
  assert {
    condition     = output.labels.enable_naru == "true" && output.labels.environment == "prod"
    error_message = "labels"
  }
}

run "a_label_is_not_too_long" {
  command = plan
  variables { cluster_name = "a123456789012345678901234567890123456789012345678901234567890123" }
  expect_failures = [var.cluster_name]
}

run "brokers_have_ports" {
  command = plan
  variables { kafka = { brokers = ["b-1"] } }
  expect_failures = [var.kafka]
}

run "a_password_in_a_url_is_refused" {
  command = plan
  variables { opensearch = { url = "https://u:p@search.example" } }
  expect_failures = [var.opensearch]
}

run "a_name_is_given_once" {
  command = plan
  variables { metadata = { opensearch_url = "x" } }
  expect_failures = [output.metadata]
}

run "annotations_have_a_limit" {
  command = plan
  variables { metadata = { long = join(",", [for i in range(1000) : join("", [for j in range(100) : "abc"])]) } }
  expect_failures = [output.annotations]
}
