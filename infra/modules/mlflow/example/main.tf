module "mlflow" {
  source = "../../mlflow"

  project          = "acme-fleets-dev"
  region           = "europe-west1"
  image            = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/mlflow@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  service_account  = "modelfleet-mlflow@acme-fleets-dev.iam.gserviceaccount.com"
  subnetwork       = "projects/acme-fleets-dev/regions/europe-west1/subnetworks/modelfleet-europe-west1"
  artifacts_bucket = "acme-fleets-dev-modelfleet-artifacts"

  database = {
    connection_name = "acme-fleets-dev:europe-west1:modelfleet"
    name            = "mlflow"
    user            = "modelfleet-mlflow@acme-fleets-dev.iam"
  }

  invokers = { team = "group:ml@acme.example" }
}
