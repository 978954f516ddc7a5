module "database" {
  source = "../../database"

  project   = "acme-fleets-dev"
  region    = "europe-west1"
  network   = "projects/acme-fleets-dev/global/networks/modelfleet"
  databases = { mlflow = "modelfleet-mlflow@acme-fleets-dev.iam.gserviceaccount.com" }
}
