# What the code writes into its log, counted. Each pattern is a sentence of the code; a test holds the two together.
locals {
  composer_log = "resource.type=\"cloud_composer_environment\" AND resource.labels.environment_name=\"${var.composer_environment}\" AND log_id(\"airflow-worker\")"
  worker_log   = "resource.type=\"dataflow_step\" AND log_id(\"dataflow.googleapis.com/worker\")"

  signals = {
    swap-refused = {
      description = "A serving process refused a release (truncated, tampered with, of another schema), or cannot load it"
      filter      = "${local.worker_log} AND severity>=ERROR AND jsonPayload.message=~\"(refused|cannot load) generation [0-9]+:\""
    }
    swap-late = {
      description = "A release that a live process did not take in time; it was rolled back"
      filter      = "${local.composer_log} AND textPayload=~\"still serves generation\""
    }
    swap-unconfirmed = {
      description = "A release was published, but no process serves the fleet"
      filter      = "${local.composer_log} AND textPayload=~\"generation [0-9]+ is published[,;]\""
    }
    gate-refused = {
      description = "A run whose models were all refused; the champions keep serving"
      filter      = "${local.composer_log} AND textPayload=~\"the gate refused the run\""
    }
  }
}

resource "google_logging_metric" "signal" {
  for_each = local.signals

  project     = var.project
  name        = "modelfleet/${each.key}"
  description = each.value.description
  filter      = each.value.filter

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}
