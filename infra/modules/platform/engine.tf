# What a fleet's spec and Airflow must know of all this, so that nobody types it
locals {
  staging = "gs://${module.buckets.names["staging"]}/dataflow"

  # No image: which one belongs to the package that submits is told by the note of the deployment (MODELFLEET_DEPLOYED)
  engine_options = {
    project               = var.project
    region                = var.region
    temp_location         = "${local.staging}/temp"
    staging_location      = "${local.staging}/staging"
    service_account_email = module.identities.emails["worker"]
    subnetwork            = module.network.dataflow_subnetwork
    no_use_public_ips     = true
    machine_type          = var.machine_type
    max_num_workers       = var.max_workers
    autoscaling_algorithm = "THROUGHPUT_BASED"
  }

  # Per fleet, because each has tables of its own
  moves = {
    for fleet in keys(var.fleets) : fleet => {
      engine         = "dataflow"
      engine_options = local.engine_options
      evaluation     = { table = "bigquery://${replace(module.bigquery.evaluation[fleet], ".", "/")}" }
      serving = {
        source = { kind = "pubsub", subscription = module.pubsub.subscriptions[fleet].requests }
        sink = {
          kind         = "pubsub"
          answers      = module.pubsub.topics[fleet].answers
          dead_letters = module.pubsub.topics[fleet].dead_letters
        }
        # A listing of the bucket every half second would cost more than the requests
        updates = "event"
        notices = {
          kind         = "pubsub"
          topic        = module.pubsub.notice_topic
          subscription = module.pubsub.subscriptions[fleet].releases
        }
      }
    }
  }

  environment = merge(
    {
      MODELFLEET_HOME        = module.buckets.home
      MODELFLEET_FLEETS      = "/home/airflow/gcs/dags/fleets"
      MODELFLEET_DEPLOYED    = "gs://${module.buckets.names["dags"]}/deployed.json"
      MODELFLEET_DATA_DOCS   = "gs://${module.buckets.names["data-docs"]}"
      MODELFLEET_SIGNING_KEY = module.signing.signing_key
      MODELFLEET_PUBLIC_KEYS = module.signing.public_keys
    },
    { for uri in module.mlflow[*].uri : "MLFLOW_TRACKING_URI" => uri },
    # By its service account, as Cloud Run wants to be asked; modelfleet's package has the provider of that name
    { for uri in module.mlflow[*].uri : "MLFLOW_TRACKING_AUTH" => "google-id-token" },
  )

  # Two Airflow connections, as Secret Manager or AIRFLOW_CONN_... would hold them. Neither has a secret: the tasks
  # run as the environment's own service account.
  connections = merge(
    { google_cloud_default = jsonencode({ conn_type = "google_cloud_platform", extra = { project = var.project } }) },
    { for uri in module.mlflow[*].uri : "mlflow_default" => jsonencode({ conn_type = "http", host = uri }) },
  )
}
