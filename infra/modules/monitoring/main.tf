locals {
  channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  # Prometheus names of what Beam's counters become on Dataflow
  counter      = "dataflow_googleapis_com:job_user_counter"
  dead_letters = "${local.counter}{monitored_resource=\"dataflow_job\",metric_name=~\"dead_letters_.*\"}"
  outcomes     = "${local.counter}{monitored_resource=\"dataflow_job\",metric_name=~\"answered|dead_letters_.*\"}"

  subscriptions = join("|", values(var.request_subscriptions))

  # Each is above its threshold for `seconds` before somebody is told
  thresholds = {
    swap-refused = {
      name    = "A release was refused by a serving process"
      what    = "The process goes on with the last good release, and confirm rolls back. Read the reason in the worker's log, or with `modelfleet status`; then mend the cause and run the loop again."
      filter  = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.signal["swap-refused"].name}\" AND resource.type=\"dataflow_step\""
      aligner = "ALIGN_SUM"
      reducer = "REDUCE_SUM"
      above   = 0
      seconds = 0
    }
    swap-late = {
      name    = "A release was not acknowledged in time"
      what    = "A live process still served an older generation when the time was up; confirm has rolled back. Is the serving job behind, or short of memory? Look at its lag first."
      filter  = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.signal["swap-late"].name}\" AND resource.type=\"cloud_composer_environment\""
      aligner = "ALIGN_SUM"
      reducer = "REDUCE_SUM"
      above   = 0
      seconds = 0
    }
    swap-unconfirmed = {
      name    = "A release was published, but nothing serves the fleet"
      what    = "The serving job is down or has not started. Start it (the DAG <fleet>_serve): it reads the ledger before its first answer."
      filter  = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.signal["swap-unconfirmed"].name}\" AND resource.type=\"cloud_composer_environment\""
      aligner = "ALIGN_SUM"
      reducer = "REDUCE_SUM"
      above   = 0
      seconds = 0
    }
    requests-wait = {
      name    = "Requests wait too long"
      what    = "The oldest unanswered request is older than ${var.oldest_request_seconds} s. Does the serving job run, and has it reached its most workers?"
      filter  = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\"${local.subscriptions}\")"
      aligner = "ALIGN_MAX"
      reducer = "REDUCE_MAX"
      above   = var.oldest_request_seconds
      seconds = 300
    }
    job-behind = {
      name    = "A streaming job is behind"
      what    = "An element has waited for more than ${var.lag_seconds} s within the job. A swap of many models on few workers does this for a moment; for longer, give the job more workers."
      filter  = "metric.type=\"dataflow.googleapis.com/job/system_lag\" AND resource.type=\"dataflow_job\" AND resource.labels.job_name=monitoring.regex.full_match(\"modelfleet-.*-serve.*\")"
      aligner = "ALIGN_MAX"
      reducer = "REDUCE_MAX"
      above   = var.lag_seconds
      seconds = 300
    }
    job-failed = {
      name    = "A Dataflow job failed"
      what    = "Read its log. A failed training is tried again by Airflow and has changed nothing; a failed serving job must be started anew (the DAG <fleet>_serve)."
      filter  = "metric.type=\"dataflow.googleapis.com/job/is_failed\" AND resource.type=\"dataflow_job\" AND resource.labels.job_name=monitoring.regex.full_match(\"modelfleet-.*\")"
      aligner = "ALIGN_MAX"
      reducer = "REDUCE_MAX"
      above   = 0
      seconds = 0
    }
    undelivered = {
      name    = "Messages that nobody takes"
      what    = "Pub/Sub has given up on messages and laid them aside in the topic of undelivered ones: answers that BigQuery refuses, or a reader that fails. The attributes of each say where it comes from."
      filter  = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${var.undelivered_subscription}\""
      aligner = "ALIGN_MAX"
      reducer = "REDUCE_MAX"
      above   = 0
      seconds = 300
    }
    retrain-failed = {
      name    = "A retraining failed"
      what    = "Every retry of a task of a DAG <fleet>_retrain has failed. Nothing was released: the champions keep serving. The failed task's log says what to do."
      filter  = "metric.type=\"composer.googleapis.com/workflow/run_count\" AND resource.type=\"cloud_composer_workflow\" AND metric.labels.state=\"failed\" AND resource.labels.workflow_name=monitoring.regex.full_match(\".*_retrain\")"
      aligner = "ALIGN_SUM"
      reducer = "REDUCE_SUM"
      above   = 0
      seconds = 0
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  project      = var.project
  display_name = "modelfleet: ${each.key}"
  type         = "email"
  labels       = { email_address = each.value }
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.thresholds

  project               = var.project
  display_name          = "modelfleet: ${each.value.name}"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = each.value.name

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = "${each.value.seconds}s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }

      trigger {
        count = 1
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.what
  }
}

# Beam's counters are gauges on Dataflow, which a threshold cannot take the difference of; Prometheus' language can
resource "google_monitoring_alert_policy" "dead_letters" {
  project               = var.project
  display_name          = "modelfleet: Too many dead letters"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = "More than ${var.dead_letter_share * 100} % of the requests of ten minutes"

    condition_prometheus_query_language {
      query               = "sum by (job_name) (delta(${local.dead_letters}[10m])) > ${var.dead_letter_share} * sum by (job_name) (delta(${local.outcomes}[10m]))"
      duration            = "0s"
      evaluation_interval = "60s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "Each dead letter has its reason and the request as it came. Has the sender changed its rows, or a release its schema?"
  }
}
