module "flex_templates" {
  source = "../../flex_templates"

  bucket       = "acme-fleets-dev-modelfleet-templates"
  revision     = "0.1.0"
  image        = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/template-serve@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  worker_image = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

  service_account = "modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com"
  subnetwork      = "regions/europe-west1/subnetworks/modelfleet-europe-west1"
  staging         = "gs://acme-fleets-dev-modelfleet-staging/dataflow"
}
