module "secrets" {
  source = "../../secrets"

  project = "acme-fleets-dev"
  region  = "europe-west1"
  secrets = {
    airflow-connections-google_cloud_default = { airflow = "serviceAccount:modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com" }
  }
}
