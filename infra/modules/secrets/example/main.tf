module "secrets" {
  source = "../../secrets"

  project = "acme-fleets-dev"
  region  = "europe-west1"
  secrets = {
    release-signing-key = { airflow = "serviceAccount:modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com" }
  }
}
