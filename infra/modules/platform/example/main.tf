module "platform" {
  source = "../../platform"

  project            = "acme-fleets-dev"
  region             = "europe-west1"
  fleets             = { income = "binary" }
  repository         = "acme/fleets"
  owner_id           = "1234567"
  deploy_environment = "development"
  state_bucket       = "acme-terraform-state"
  emails             = { team = "ml@acme.example" }
  billing_account    = "012345-6789AB-CDEF01"

  images = {
    revision = "0.1.0"
    mlflow   = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/mlflow@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    worker   = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    launcher = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/template-serve@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
}
