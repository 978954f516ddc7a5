module "buckets" {
  source = "../../buckets"

  project      = "acme-fleets-dev"
  location     = "europe-west1"
  prefix       = "acme-fleets-dev-modelfleet"
  notice_topic = "projects/acme-fleets-dev/topics/release-notices"
  promoters    = { airflow = "serviceAccount:modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com" }
  workers      = { worker = "serviceAccount:modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com" }
  stagers      = { worker = "serviceAccount:modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com" }
}
