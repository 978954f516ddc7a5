module "signing" {
  source = "../../signing"

  project = "acme-fleets-dev"
  region  = "europe-west1"

  signers = { airflow = "serviceAccount:modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com" }
  readers = { team = "group:ml@acme.example" }
}
