module "artifact_registry" {
  source = "../../artifact_registry"

  project    = "acme-fleets-dev"
  region     = "europe-west1"
  installers = { airflow = "serviceAccount:modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com" }
  readers    = { worker = "serviceAccount:modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com" }
  writers    = { deployer = "serviceAccount:modelfleet-deployer@acme-fleets-dev.iam.gserviceaccount.com" }
}
