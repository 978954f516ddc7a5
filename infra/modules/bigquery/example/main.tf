module "bigquery" {
  source = "../../bigquery"

  project  = "acme-fleets-dev"
  location = "europe-west1"
  fleets   = { income = "binary", demand = "regression" }
  writers  = { worker = "serviceAccount:modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com" }
}
