mock_provider "google" {}

variables {
  bucket       = "acme-fleets-dev-modelfleet-templates"
  revision     = "0.1.0"
  worker_image = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  image        = "registry.example/template-serve@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

  service_account = "modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com"
  subnetwork      = "regions/europe-west1/subnetworks/modelfleet-europe-west1"
  staging         = "gs://acme-fleets-dev-modelfleet-staging/dataflow"
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "template" {
  command = plan

  assert {
    condition     = output.templates == { serve = "gs://acme-fleets-dev-modelfleet-templates/modelfleet/0.1.0/serve.json" }
    error_message = "One template per revision."
  }

  assert {
    condition     = jsondecode(google_storage_bucket_object.serve.content).metadata.streaming
    error_message = "Serving streams."
  }

  assert {
    condition     = jsondecode(google_storage_bucket_object.serve.content).defaultEnvironment.ipConfiguration == "WORKER_IP_PRIVATE"
    error_message = "Workers have no public address."
  }
}

run "a_tag_is_no_digest" {
  command = plan

  variables {
    image = "registry.example/template-serve:0.1.0"
  }

  expect_failures = [var.image]
}

run "a_tag_is_no_digest_for_workers_either" {
  command = plan

  variables {
    worker_image = "registry.example/worker:0.1.0"
  }

  expect_failures = [var.worker_image]
}

run "no_revision" {
  command = plan

  variables {
    revision = "../0.1.0"
  }

  expect_failures = [var.revision]
}

run "no_staging" {
  command = plan

  variables {
    staging = "gs://bucket"
  }

  expect_failures = [var.staging]
}

run "no_workers" {
  command = plan

  variables {
    max_workers = 0
  }

  expect_failures = [var.max_workers]
}
