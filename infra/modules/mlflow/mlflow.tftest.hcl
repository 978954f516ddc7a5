mock_provider "google" {
  mock_resource "google_cloud_run_v2_service" {
    defaults = { uri = "https://mlflow-abc.a.run.app" }
  }
}

variables {
  project          = "acme-fleets-dev"
  region           = "europe-west1"
  image            = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/mlflow@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  service_account  = "modelfleet-mlflow@acme-fleets-dev.iam.gserviceaccount.com"
  subnetwork       = "projects/acme-fleets-dev/regions/europe-west1/subnetworks/modelfleet-europe-west1"
  artifacts_bucket = "acme-fleets-dev-modelfleet-artifacts"
  invokers         = { team = "group:ml@acme.example" }
  database = {
    connection_name = "acme-fleets-dev:europe-west1:modelfleet"
    name            = "mlflow"
    user            = "modelfleet-mlflow@acme-fleets-dev.iam"
  }
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "closed_to_the_world" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    error_message = "The project's own networks reach it, nobody else."
  }

  assert {
    condition     = [for grant in google_cloud_run_v2_service_iam_member.invoker : grant.member] == ["group:ml@acme.example"]
    error_message = "Only who is named may call."
  }
}

run "no_password_anywhere" {
  command = plan

  assert {
    condition = one([
      for variable in google_cloud_run_v2_service.this.template[0].containers[0].env : variable.value
      if variable.name == "MLFLOW_BACKEND_STORE_URI"
    ]) == "postgresql://modelfleet-mlflow%40acme-fleets-dev.iam@127.0.0.1:5432/mlflow"
    error_message = "The proxy beside the server signs in as the service account."
  }

  assert {
    condition     = contains(google_cloud_run_v2_service.this.template[0].containers[1].args, "--auto-iam-authn") && contains(google_cloud_run_v2_service.this.template[0].containers[1].args, "--private-ip")
    error_message = "The proxy signs in by itself, on the private address."
  }

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].depends_on == tolist(["proxy"])
    error_message = "The server starts once the proxy answers."
  }
}

run "address" {
  assert {
    condition     = output.uri == "https://mlflow-abc.a.run.app"
    error_message = "The service's address is passed on."
  }
}

run "not_for_all" {
  command = plan

  variables {
    invokers = { world = "allUsers" }
  }

  expect_failures = [var.invokers]
}

run "a_tag_is_no_digest" {
  command = plan

  variables {
    image = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/mlflow:0.1.0"
  }

  expect_failures = [var.image]
}

run "too_many" {
  command = plan

  variables {
    max_instances = 100
  }

  expect_failures = [var.max_instances]
}
