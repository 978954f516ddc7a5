module "pubsub" {
  source = "../../pubsub"

  project        = "acme-fleets-dev"
  project_number = "123456789012"

  fleets             = { income = "binary", demand = "regression" }
  predictions_tables = { income = "acme-fleets-dev.modelfleet.income_predictions" }

  workers   = { worker = "serviceAccount:modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com" }
  promoters = { airflow = "serviceAccount:modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com" }
  clients   = { shop = "serviceAccount:shop@acme-fleets-dev.iam.gserviceaccount.com" }
}
