locals {
  job = "{monitored_resource=\"dataflow_job\",job_name=~\"modelfleet-.*\"}"

  # Title of each chart, its queries in Prometheus' language, and its unit
  charts = [
    { title = "Answers per second", unit = "1/s", queries = ["sum by (job_name) (rate(${local.counter}{monitored_resource=\"dataflow_job\",metric_name=\"answered\"}[5m]))"] },
    { title = "Dead letters per second, by stage", unit = "1/s", queries = ["sum by (job_name, metric_name) (rate(${local.dead_letters}[5m]))"] },
    { title = "Swaps seen", unit = "1", queries = ["sum by (job_name) (delta(${local.counter}{monitored_resource=\"dataflow_job\",metric_name=\"swaps_seen\"}[1h]))"] },
    { title = "Lag of the jobs", unit = "s", queries = ["max by (job_name) (dataflow_googleapis_com:job_system_lag${local.job})"] },
    { title = "Age of the oldest request", unit = "s", queries = ["max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.subscriptions}\"})"] },
    { title = "Requests that wait", unit = "1", queries = ["max by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.subscriptions}\"})"] },
    { title = "Cores of the jobs", unit = "1", queries = ["max by (job_name) (dataflow_googleapis_com:job_current_num_vcpus${local.job})"] },
    { title = "Models trained and failures", unit = "1", queries = ["max by (job_name, metric_name) (${local.counter}{monitored_resource=\"dataflow_job\",metric_name=~\"models|failures\"})"] },
    { title = "Runs of the DAGs, by outcome", unit = "1", queries = ["sum by (workflow_name, state) (increase(composer_googleapis_com:workflow_run_count{monitored_resource=\"cloud_composer_workflow\"}[1h]))"] },
    { title = "Releases refused, late, unconfirmed; runs refused", unit = "1", queries = [
      for name in sort(keys(local.signals)) : "sum(increase(logging_googleapis_com:user_modelfleet_${replace(name, "-", "_")}[1h]))"
    ] },
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project

  dashboard_json = jsonencode({
    displayName = "modelfleet"
    labels      = { modelfleet = "" }
    mosaicLayout = {
      columns = 48
      tiles = [
        for index, chart in local.charts : {
          xPos   = index % 2 * 24
          yPos   = floor(index / 2) * 16
          width  = 24
          height = 16
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [
                for query in chart.queries : {
                  plotType        = "LINE"
                  timeSeriesQuery = { prometheusQuery = query, unitOverride = chart.unit }
                }
              ]
            }
          }
        }
      ]
    }
  })
}
