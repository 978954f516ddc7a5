module "composer" {
  source = "../../composer"

  project         = "acme-fleets-dev"
  region          = "europe-west1"
  network         = "projects/acme-fleets-dev/global/networks/modelfleet"
  subnetwork      = "projects/acme-fleets-dev/regions/europe-west1/subnetworks/modelfleet-europe-west1"
  service_account = "modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com"
  dags_bucket     = "acme-fleets-dev-modelfleet-dags"
  environment     = { MODELFLEET_HOME = "gs://acme-fleets-dev-modelfleet-home" }
  package_index   = "https://europe-west1-python.pkg.dev/acme-fleets-dev/modelfleet-python/simple/"
  packages        = { acme-families = "==1.2.0" }
  deployers       = { deployer = "serviceAccount:modelfleet-deployer@acme-fleets-dev.iam.gserviceaccount.com" }
  web_ranges      = { office = "203.0.113.0/24" }
}
